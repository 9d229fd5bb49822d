"""`GET /v1/events` accepts filters by contact, actor and time."""

from pathlib import Path

from tests.integration.api.in_process import InProcess, run_in_process

LEASE = "/v1/agent/coordination/lease"


async def types(service: InProcess, query: str) -> list[str]:
    response = await service.get(f"/v1/events?{query}")
    assert response.status == 200, response.json
    assert response.json["next"] == response.json["head"]
    return [event["type"] for event in response.json["events"]]


async def test_events_are_filtered_by_all_given_conditions(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        for contact in ("u@example.com", "v@example.com"):
            await service.call("POST", LEASE, {"agentName": "ann", "contactEmail": contact})
        events = (await service.get("/v1/events")).json["events"]
        actor = events[-1]["actor"]

        contact = "contactEmail=V@Example.com"  # Another spelling of the same contact.
        assert await types(service, contact) == ["LeaseAcquired"]
        assert await types(service, f"{contact}&actor={actor}&type=LeaseAcquired") == [
            "LeaseAcquired"
        ]
        assert await types(service, f"{contact}&actor=another") == []
        assert await types(service, f"since={events[0]['at']}") == [e["type"] for e in events]
        assert await types(service, f"until={events[0]['at']}") == []
        assert await types(service, "since=2999-01-01T00:00:00Z") == []
        for wrong in (
            "since=yesterday",
            "until=1",
            "since=2026-03-01T12:00:00",
            "contactEmail=invalid",
        ):
            assert (await service.get(f"/v1/events?{wrong}")).status == 422
