"""`/metrics` of a running service: what agents did is there, and nothing of who they are."""

import re

from prometheus_client.parser import text_string_to_metric_families

from quorate.api.routes import ENDPOINTS
from quorate.contracts.problems import KINDS
from quorate.eventlog.serialization import VERSIONS
from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import LEASE, Caller, Operator, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until

SERVE = ()
CONTACT = "user@example.com"


class Page:
    """What the service says of itself now."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            sample for each in text_string_to_metric_families(text) for sample in each.samples
        ]

    def total(self, name: str, **labels: str) -> float:
        """The sum of what has these labels, whatever its others are."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


async def page(operator: Operator) -> Page:
    response = await Caller(operator.connection, None).request("GET", "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Page(response.text)


async def until_told(operator: Operator, name: str, at_least: float, **labels: str) -> None:
    """A page is a moment old at most."""

    async def told() -> bool:
        return (await page(operator)).total(name, **labels) >= at_least

    await wait_until(told)


async def test_commands_and_requests_are_counted_by_outcome(
    operator: Operator, tenant: Tenant
) -> None:
    before = await page(operator)
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT)
    await Caller(tenant.connection, "qk_nobodys").request("POST", LEASE, {})

    def more(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    acquired = {"transport": "http", "operation": "acquireLease"}
    asked = before.total("quorate_requests_total", **acquired) + 3
    await until_told(operator, "quorate_requests_total", asked, **acquired)
    after = await page(operator)
    assert more("quorate_requests_total", **acquired, outcome="ok", status="200") == 1
    assert more("quorate_requests_total", **acquired, outcome="lease_conflict") == 1
    assert more("quorate_requests_total", **acquired, outcome="unauthorized", status="401") == 1
    assert more("quorate_request_seconds_count", **acquired) == 3
    assert more("quorate_commands_total", command="AcquireLease", outcome="done") == 1
    assert more("quorate_commands_total", command="AcquireLease", outcome="lease_conflict") == 1
    assert more("quorate_events_total", type="LeaseConflicted") == 1
    assert more("quorate_log_head") >= 4
    assert after.total("quorate_leader") == after.total("quorate_nats_connected") == 1
    assert after.total("quorate_mirror_state", state="following") == 1


async def test_nats_logins_and_commands_are_counted(operator: Operator, tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    asking = await NatsAgent.of(ann)
    await until_told(operator, "quorate_connected_agents", 1)
    await until_told(operator, "quorate_auth_callout_seconds_count", 1, outcome="accepted")

    await asking.request_ok("heartbeat")

    await until_told(
        operator, "quorate_requests_total", 1, transport="nats", operation="heartbeat", outcome="ok"
    )


async def test_open_streams_are_counted(operator: Operator, tenant: Tenant) -> None:
    async with follow_events(tenant):
        await until_told(operator, "quorate_open_streams", 1)

    async def gone() -> bool:
        return (await page(operator)).total("quorate_open_streams") == 0

    await wait_until(gone)


async def test_relay_lag_returns_to_zero(operator: Operator, tenant: Tenant) -> None:
    await tenant.create_agents("ann", "bob", "cid")

    async def caught_up() -> bool:
        now = await page(operator)
        return now.total("quorate_log_head") > 0 and now.total("quorate_relay_lag_events") == 0

    await wait_until(caught_up)


async def test_unchecked_input_never_becomes_a_label(operator: Operator, tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann-of-the-secret-name")
    await ann.request("GET", "/v1/made/up/by/somebody")
    await ann.request("MADEUP", "/v1/agent/agents")
    await ann.request("GET", f"/v1/agent/agents/{ann.id}")
    await until_told(operator, "quorate_requests_total", 1, operation="getAgent", outcome="ok")
    known = {
        "transport": {"http", "nats"},
        "operation": {"none", "unread", *(endpoint.name for endpoint in ENDPOINTS)},
        "outcome": {"ok", "done", "replayed", "accepted", "refused", *KINDS},
        "status": {"200", *(str(kind.status) for kind in KINDS.values())},
        "type": set(VERSIONS),
        "state": {"waiting", "following", "stopped", "unavailable"},
        "generation": {"0", "1", "2"},
    }

    told = await page(operator)

    for sample in told.samples:
        for label, value in sample.labels.items():
            if label in known:
                assert value in known[label], sample
            else:
                assert label in {"command", "le", "version"}, sample
                assert re.fullmatch(r"[A-Z]\w+|[\d.e+-]+|\+Inf", value), sample
    for name in (tenant.id, ann.id, ann.name, tenant.issued.id):
        assert name not in told.text
