"""Outreach and retention want the same contacts; the log tells who had which, and when."""

import pytest

from tests.e2e.examples.programs import started
from tests.e2e.service.http_clients import Tenant, types
from tests.e2e.service.service_process import Json, Running

FIRST, SECOND = "user@example.com", "ceo@example.com"
OUTREACH, RETENTION = "outreach_agent.py", "retention_agent.py"


def holds(events: list[Json], contact: str) -> list[tuple[int, int]]:
    """From which event to which the contact was held, each time."""
    about = [event for event in events if event["data"].get("contactKey") == contact]
    began = [event["sequence"] for event in about if event["type"] == "LeaseAcquired"]
    ended = [
        event["sequence"]
        for event in about
        if event["type"] in {"LeaseReleased", "LeaseExpired", "LeaseRevoked"}
    ]
    return list(zip(began, ended, strict=True))


@pytest.mark.parametrize("over_nats", [False, True], ids=["over HTTP", "over NATS"])
async def test_each_reaches_every_contact_and_never_both_at_once(
    service: Running, tenant: Tenant, over_nats: bool
) -> None:
    contacts = (FIRST, SECOND)
    one, other = [
        await tenant.issue("agent", name) for name in ("outreach-agent", "retention-agent")
    ]

    async with (
        started(
            OUTREACH, service, one, *contacts, "--writing", "0.3", over_nats=over_nats
        ) as outreach,
        started(
            RETENTION, service, other, *contacts, "--calling", "0.3", over_nats=over_nats
        ) as retention,
    ):
        assert await outreach.ends() == 0, outreach.said
        assert await retention.ends() == 0, retention.said

    events = await tenant.events()
    for contact in contacts:
        assert any("sent to " + contact in line for line in outreach.said)
        assert any("reached " + contact in line for line in retention.said)
        (_, first_ends), (second_begins, _) = holds(events, contact)
        assert first_ends < second_begins
    sends = [event["data"] for event in events if event["type"] == "SendAuthorized"]
    assert sorted(send["contactKey"] for send in sends) == sorted([*contacts, *contacts])
    assert all(send["fence"] for send in sends)
    assert "SendBlocked" not in types(events)


async def test_what_a_colleague_holds_is_left_for_later(service: Running, tenant: Tenant) -> None:
    colleague = await tenant.agent_of("colleague")
    lease = await colleague.lease(colleague.id, FIRST)
    key = await tenant.issue("agent", "outreach-agent")

    async with started(OUTREACH, service, key, FIRST, SECOND, "--writing", "0.05") as outreach:
        await outreach.says(f"{FIRST} is held by colleague")
        await outreach.says(f"sent to {SECOND}")
        await colleague.release(lease["id"])
        await outreach.says(f"sent to {FIRST}")
        assert await outreach.ends() == 0


async def test_what_is_never_free_is_given_up_in_time(service: Running, tenant: Tenant) -> None:
    colleague = await tenant.agent_of("colleague")
    await colleague.lease(colleague.id, FIRST)
    keys = [await tenant.issue("agent", name) for name in ("outreach-agent", "retention-agent")]

    async with (
        started(OUTREACH, service, keys[0], FIRST, "--for", "1") as outreach,
        started(RETENTION, service, keys[1], FIRST, "--calling", "0.1", "--for", "1") as retention,
    ):
        assert await outreach.ends() == 0, outreach.said
        await retention.says("giving up")
        assert await retention.ends() == 0

    assert "SendAuthorized" not in types(await tenant.events())


@pytest.mark.parametrize("program", [OUTREACH, RETENTION])
async def test_ctrl_c_gives_the_contact_back(
    service: Running, tenant: Tenant, program: str
) -> None:
    key = await tenant.issue("agent", "an-agent")

    async with started(program, service, key, FIRST, "--name", "an-agent") as agent:
        await agent.says(FIRST)
        assert await agent.interrupted() == 0, agent.said

    assert "Traceback" not in "\n".join(agent.said)
    assert types(await tenant.events())[-1] == "LeaseReleased"
