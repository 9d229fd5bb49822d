"""Operators list, suspend, resume and limit tenants; callers see their quotas."""

from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from quorate.application.rate_limiter import Rates
from quorate.domain.shared.quotas import Quotas
from tests.integration.api.asgi_client import AsgiResponse, json_request
from tests.integration.api.in_process import InProcess, run_in_process

HEARTBEAT = "/v1/agent/coordination/heartbeat"


async def as_operator(
    service: InProcess, method: str, path: str, body: object = None
) -> AsgiResponse:
    return await service.ask(
        json_request(method, path, body or {}, key=service.credentials["adminKey"])
    )


async def types(service: InProcess) -> list[str]:
    events = (await service.get("/v1/events?limit=1000")).json["events"]
    return [event["type"] for event in events]


async def test_tenants_are_listed_without_that_of_the_operators(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await as_operator(service, "POST", "/v1/tenants", {"tenantId": "acme"})
        listed = await as_operator(service, "GET", "/v1/tenants")
        paged = await as_operator(service, "GET", "/v1/tenants?limit=1")
        one = await as_operator(service, "GET", "/v1/tenants/acme")
        operators = await as_operator(service, "GET", "/v1/tenants/_operators")
        unknown = await as_operator(service, "GET", "/v1/tenants/none")

    assert [each["tenantId"] for each in listed.json] == ["acme", "default"]
    assert dict(paged.headers)[b"link"] == b'</v1/tenants?limit=1&after=acme>; rel="next"'
    assert one.json == listed.json[0]
    assert (one.json["status"], one.json["limits"]) == ("active", {})
    for missing in (operators, unknown):
        assert (missing.status, missing.json["code"]) == (404, "tenant_not_found")


async def test_keys_of_a_suspended_tenant_are_rejected_until_it_is_resumed(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        suspended = await as_operator(service, "POST", "/v1/tenants/default/suspend")
        hot = await service.call("POST", HEARTBEAT, {"agentName": "ann"})
        read = await service.get("/v1/agent/agents")
        repeated = await as_operator(service, "POST", "/v1/tenants/default/suspend")
        resumed = await as_operator(service, "POST", "/v1/tenants/default/resume")
        accepted = await service.call("POST", HEARTBEAT, {"agentName": "ann"})
        recorded = await types(service)

    assert suspended.json["status"] == "suspended"
    assert repeated.json == suspended.json
    assert "suspendedAt" in suspended.json
    for rejected in (hot, read):
        assert (rejected.status, rejected.json["code"]) == (403, "tenant_suspended")
    assert (resumed.json["status"], resumed.json.get("suspendedAt")) == ("active", None)
    assert accepted.status == 200
    assert recorded[-2:] == ["TenantSuspended", "TenantResumed"]


async def test_suspension_outlives_a_restart(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await as_operator(service, "POST", "/v1/tenants/default/suspend")
    async with run_in_process(tmp_path / "data") as service:
        rejected = await service.get("/v1/agent/agents")
        operator = await as_operator(service, "GET", "/v1/tenants/default")

    assert rejected.json["code"] == "tenant_suspended"
    assert operator.status == 200


async def test_operators_cannot_suspend_themselves(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        rejected = await as_operator(service, "POST", "/v1/tenants/_operators/suspend")

    assert (rejected.status, rejected.json["code"]) == (404, "tenant_not_found")


async def test_paused_tenant_is_shown_with_the_time_and_unpaused_by_its_key(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        why = {"reason": "Too much mail"}
        paused = await as_operator(service, "POST", "/v1/tenants/default/pause", why)
        rejected = await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        own = await service.get("/v1/tenants/default")
        listed = await as_operator(service, "GET", "/v1/tenants")
        unpaused = await service.call("POST", "/v1/tenants/default/unpause", why)
        accepted = await service.call("POST", "/v1/agent/register", {"agentName": "ann"})

    since = paused.json["pausedAt"]
    assert paused.json["status"] == "active"
    assert own.json == paused.json == listed.json[0]
    assert (rejected.status, rejected.json["code"]) == (409, "tenant_paused")
    assert rejected.json["pausedAt"] == since
    assert rejected.json["detail"] == (
        f"The tenant is paused: it was paused at {since} and accepts no command until it is "
        "unpaused."
    )
    assert "pausedAt" not in unpaused.json
    assert accepted.status == 200


async def test_operators_cannot_pause_themselves(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        path = "/v1/tenants/_operators/pause"
        rejected = await as_operator(service, "POST", path, {"reason": "because"})

    assert (rejected.status, rejected.json["code"]) == (404, "tenant_not_found")


async def test_rates_of_one_tenant_replace_those_of_the_service(tmp_path: Path) -> None:
    path = "/v1/tenants/default/limits"
    async with run_in_process(tmp_path / "data") as service:
        found = await as_operator(
            service, "PUT", path, {"ratePerTenant": 1, "burstPerTenant": 2, "agents": 5}
        )
        statuses = [(await service.get("/v1/agent/agents")).status for _ in range(2)]
        reset = await as_operator(service, "PUT", path, {})
        after = [(await service.get("/v1/agent/agents")).status for _ in range(3)]

    assert found.json["limits"] == {"agents": 5, "ratePerTenant": 1, "burstPerTenant": 2}
    assert statuses == [200, 429]  # A read leaves half of the burst to commands.
    assert reset.json["limits"] == {}
    assert after == [200, 200, 200]


async def test_quota_of_one_tenant_replaces_that_of_the_service(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data", quotas=Quotas(events_per_day=4)) as service:
        accepted = await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        rejected = await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        await as_operator(service, "PUT", "/v1/tenants/default/limits", {"eventsPerDay": 9})
        again = await service.call("POST", "/v1/agent/register", {"agentName": "ann"})

    assert accepted.status == 200
    assert (rejected.status, rejected.json["code"]) == (429, "daily_quota_exceeded")
    assert (rejected.json["quota"], rejected.json["limit"]) == ("events_per_day", 4)
    assert rejected.json["resetsAt"].endswith("T00:00:00.000Z")
    wait = rejected.json["retryAfterSeconds"]
    assert dict(rejected.headers)[b"retry-after"] == str(wait).encode()
    assert 0 < wait <= 86_400
    assert again.status == 200


async def test_key_is_revoked_above_the_daily_quota(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        key = (await service.call("POST", "/v1/keys", {"role": "auditor"})).json
        await as_operator(service, "PUT", "/v1/tenants/default/limits", {"eventsPerDay": 1})
        issued = await service.call("POST", "/v1/keys", {"role": "auditor"})
        revoked = await service.call("DELETE", f"/v1/keys/{key['id']}", {})

    assert issued.json["code"] == "daily_quota_exceeded"
    assert revoked.status == 200


async def test_quotas_show_what_is_used(tmp_path: Path) -> None:
    quotas = Quotas(agents=7, events_per_day=1_000, live_leases_per_agent=3)
    async with run_in_process(tmp_path / "data", quotas=quotas) as service:
        agent = (await service.call("POST", "/v1/agent/register", {"agentName": "ann"})).json["id"]
        issued = {"role": "agent", "agentName": "ann"}
        key = (await service.call("POST", "/v1/keys", issued)).json["key"]
        body = {"contactEmail": "u@example.com"}
        await service.ask(json_request("POST", "/v1/agent/coordination/lease", body, key=key))
        own = (await service.get("/v1/quotas", key=key)).json
        of_tenant = (await service.get("/v1/quotas")).json
        named = (await service.get(f"/v1/quotas?agentId={agent}")).json
        unknown = await service.get("/v1/quotas?agentId=agent_none")
        recorded = await types(service)

    found = by_name(own)
    assert own["agentId"] == agent
    assert found["agents"] == {"quota": "agents", "used": 1, "limit": 7}
    assert found["keys"]["limit"] is None
    assert found["live_leases_per_agent"] == {
        "quota": "live_leases_per_agent",
        "used": 1,
        "limit": 3,
    }
    assert found["events_per_day"]["used"] == len(recorded)
    assert found["events_per_day_per_agent"]["used"] == 1
    assert found["bytes_per_day_per_agent"]["used"] > 1_000
    assert found["events_per_day"]["resetsAt"].endswith("T00:00:00.000Z")
    assert named == own
    assert "agentId" not in of_tenant
    assert by_name(of_tenant).keys() == {name for name in found if not name.endswith("_per_agent")}
    assert (unknown.status, unknown.json["code"]) == (404, "agent_not_found")


def by_name(response: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON.
    return {one["quota"]: one for one in response["quotas"]}


async def test_rejection_is_logged_with_tenant_and_agent(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        issued = {"role": "agent", "agentName": "ann"}
        key = (await service.call("POST", "/v1/keys", issued)).json
        with capture_logs() as logs:
            await service.ask(json_request("POST", HEARTBEAT, {}, key=key["key"]))

    (line,) = [line for line in logs if line["event"] == "http.request_rejected"]
    assert (line["code"], line["key_id"]) == ("agent_not_found", key["id"])
    assert (line["tenant"], line["agent"]) == ("default", key["agentId"])


async def test_responses_say_how_many_requests_are_left(tmp_path: Path) -> None:
    rates = Rates(per_tenant=1, burst_per_tenant=10)
    for fast_lane in (True, False):
        folder = tmp_path / f"{fast_lane}"
        async with run_in_process(folder, rates=rates, fast_lane=fast_lane) as service:
            accepted = await service.call("POST", HEARTBEAT, {"agentName": "ann"})
            await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
            hot = await service.call("POST", HEARTBEAT, {"agentName": "ann"})
            public = await service.get("/livez")

        assert accepted.status == 404  # An admitted request that fails has them too.
        for response, remaining in ((accepted, b"9"), (hot, b"7")):
            headers = dict(response.headers)
            assert headers[b"ratelimit-limit"] == b"10"
            assert headers[b"ratelimit-remaining"] == remaining
            assert 1 <= int(headers[b"ratelimit-reset"]) <= 3
        assert b"ratelimit-limit" not in dict(public.headers)
