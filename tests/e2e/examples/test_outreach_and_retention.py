"""Tests of two examples that compete for the same contacts; the event log shows the holders."""

import pytest

from tests.e2e.examples.programs import run_example
from tests.e2e.service.http_clients import Tenant, event_types
from tests.e2e.service.service_process import Json, ServiceProcess

FIRST, SECOND = "user@example.com", "ceo@example.com"
OUTREACH, RETENTION = "outreach_agent.py", "retention_agent.py"


def lease_periods(events: list[Json], contact: str) -> list[tuple[int, int]]:
    """Return the first and last sequence of each lease on the contact."""
    contact_events = [event for event in events if event["data"].get("contactKey") == contact]
    starts = [event["sequence"] for event in contact_events if event["type"] == "LeaseAcquired"]
    ends = [
        event["sequence"]
        for event in contact_events
        if event["type"] in {"LeaseReleased", "LeaseExpired", "LeaseRevoked"}
    ]
    return list(zip(starts, ends, strict=True))


@pytest.mark.parametrize("over_nats", [False, True], ids=["over HTTP", "over NATS"])
async def test_agents_reach_every_contact_with_disjoint_leases(
    service: ServiceProcess, tenant: Tenant, over_nats: bool
) -> None:
    contacts = (FIRST, SECOND)
    one, other = [
        await tenant.issue("agent", name) for name in ("outreach-agent", "retention-agent")
    ]

    async with (
        run_example(
            OUTREACH, service, one, *contacts, "--writing", "0.3", over_nats=over_nats
        ) as outreach,
        run_example(
            RETENTION, service, other, *contacts, "--calling", "0.3", over_nats=over_nats
        ) as retention,
    ):
        assert await outreach.wait() == 0, outreach.lines
        assert await retention.wait() == 0, retention.lines

    events = await tenant.events()
    for contact in contacts:
        assert any("sent to " + contact in line for line in outreach.lines)
        assert any("reached " + contact in line for line in retention.lines)
        (_, first_ends), (second_begins, _) = lease_periods(events, contact)
        assert first_ends < second_begins
    sends = [event["data"] for event in events if event["type"] == "SendAuthorized"]
    assert sorted(send["contactKey"] for send in sends) == sorted([*contacts, *contacts])
    assert all(send["fence"] for send in sends)
    assert "SendBlocked" not in event_types(events)


async def test_outreach_agent_retries_when_contact_becomes_free(
    service: ServiceProcess, tenant: Tenant
) -> None:
    colleague = await tenant.create_agent("colleague")
    lease = await colleague.lease(colleague.id, FIRST)
    key = await tenant.issue("agent", "outreach-agent")

    async with run_example(OUTREACH, service, key, FIRST, SECOND, "--writing", "0.05") as outreach:
        await outreach.wait_for_line(f"{FIRST} is held by colleague")
        await outreach.wait_for_line(f"sent to {SECOND}")
        await colleague.release(lease["id"])
        await outreach.wait_for_line(f"sent to {FIRST}")
        assert await outreach.wait() == 0


async def test_agents_stop_in_time_when_contact_is_never_free(
    service: ServiceProcess, tenant: Tenant
) -> None:
    colleague = await tenant.create_agent("colleague")
    await colleague.lease(colleague.id, FIRST)
    keys = [await tenant.issue("agent", name) for name in ("outreach-agent", "retention-agent")]

    async with (
        run_example(OUTREACH, service, keys[0], FIRST, "--for", "1") as outreach,
        run_example(
            RETENTION, service, keys[1], FIRST, "--calling", "0.1", "--for", "1"
        ) as retention,
    ):
        assert await outreach.wait() == 0, outreach.lines
        await retention.wait_for_line("giving up")
        assert await retention.wait() == 0

    assert "SendAuthorized" not in event_types(await tenant.events())


@pytest.mark.parametrize("program", [OUTREACH, RETENTION])
async def test_ctrl_c_releases_the_lease(
    service: ServiceProcess, tenant: Tenant, program: str
) -> None:
    key = await tenant.issue("agent", "an-agent")

    async with run_example(program, service, key, FIRST, "--name", "an-agent") as agent:
        await agent.wait_for_line(FIRST)
        assert await agent.interrupt() == 0, agent.lines

    assert "Traceback" not in "\n".join(agent.lines)
    assert event_types(await tenant.events())[-2:] == ["LeaseReleased", "AgentDeregistered"]
