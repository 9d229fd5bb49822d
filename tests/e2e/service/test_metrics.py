"""`/metrics` counts operations by outcome and contains no tenant or agent."""

import re

from prometheus_client.parser import text_string_to_metric_families

from quorate.api.routes import ENDPOINTS
from quorate.application.mail.relay_metrics import OUTCOMES
from quorate.contracts.problems import KINDS
from quorate.eventlog.serialization import VERSIONS
from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import LEASE, Caller, Operator, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until

SERVE = ()
CONTACT = "user@example.com"


class MetricsPage:
    """The parsed metrics of a service."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            sample for each in text_string_to_metric_families(text) for sample in each.samples
        ]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of all samples with these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


async def read_metrics(operator: Operator) -> MetricsPage:
    response = await Caller(operator.connection, None).request("GET", "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return MetricsPage(response.text)


async def wait_for_value(operator: Operator, name: str, at_least: float, **labels: str) -> None:
    """Wait until a metric has at least a value; metrics may be slightly delayed."""

    async def reached() -> bool:
        return (await read_metrics(operator)).total(name, **labels) >= at_least

    await wait_until(reached)


async def test_commands_and_requests_are_counted_by_outcome(
    operator: Operator, tenant: Tenant
) -> None:
    before = await read_metrics(operator)
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT)
    await Caller(tenant.connection, "qk_invalid").request("POST", LEASE, {})

    def more(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    acquired = {"transport": "http", "operation": "acquireLease"}
    requests = before.total("quorate_requests_total", **acquired) + 3
    await wait_for_value(operator, "quorate_requests_total", requests, **acquired)
    after = await read_metrics(operator)
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
    nats_agent = await NatsAgent.of(ann)
    await wait_for_value(operator, "quorate_connected_agents", 1)
    await wait_for_value(operator, "quorate_auth_callout_seconds_count", 1, outcome="accepted")

    await nats_agent.request_ok("heartbeat")

    await wait_for_value(
        operator, "quorate_requests_total", 1, transport="nats", operation="heartbeat", outcome="ok"
    )


async def test_open_streams_are_counted(operator: Operator, tenant: Tenant) -> None:
    async with follow_events(tenant):
        await wait_for_value(operator, "quorate_open_streams", 1)

    async def closed() -> bool:
        return (await read_metrics(operator)).total("quorate_open_streams") == 0

    await wait_until(closed)


async def test_relay_lag_returns_to_zero(operator: Operator, tenant: Tenant) -> None:
    await tenant.create_agents("ann", "bob", "cid")

    async def caught_up() -> bool:
        now = await read_metrics(operator)
        return now.total("quorate_log_head") > 0 and now.total("quorate_relay_lag_events") == 0

    await wait_until(caught_up)


async def test_unchecked_input_never_becomes_a_label(operator: Operator, tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann-of-the-secret-name")
    await ann.request("GET", "/v1/unknown/path")
    await ann.request("UNKNOWN", "/v1/agent/agents")
    await ann.request("GET", f"/v1/agent/agents/{ann.id}")
    await wait_for_value(operator, "quorate_requests_total", 1, operation="getAgent", outcome="ok")
    known = {
        "transport": {"http", "nats"},
        "operation": {"none", "unread", *(endpoint.name for endpoint in ENDPOINTS)},
        "outcome": {"ok", "done", "replayed", "accepted", "refused", *KINDS, *OUTCOMES},
        "status": {"200", *(str(kind.status) for kind in KINDS.values())},
        "type": set(VERSIONS),
        "state": {"waiting", "following", "stopped", "unavailable"},
        "reason": {"flood", "over_rate", "tenant", "connections", "subscriptions", "payload"},
        "generation": {"0", "1", "2"},
    }

    metrics = await read_metrics(operator)

    for sample in metrics.samples:
        for label, value in sample.labels.items():
            if label in known:
                assert value in known[label], sample
            else:
                assert label in {"command", "le", "version"}, sample
                assert re.fullmatch(r"[A-Z]\w+|[\d.e+-]+|\+Inf", value), sample
    for name in (tenant.id, ann.id, ann.name, tenant.issued.id):
        assert name not in metrics.text


async def test_totals_are_counted_when_the_service_starts(operator: Operator) -> None:
    await wait_for_value(operator, "quorate_tenants", 1)
    await wait_for_value(operator, "quorate_database_bytes", 1)
    await wait_for_value(operator, "quorate_disk_free_bytes", 1)
