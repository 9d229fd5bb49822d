"""Notifications are kept for a time. What an agent comes too late for is said, and never just missing.

How old things are when a test asks is the machine's business; so each test holds whenever it asks.
"""

from pathlib import Path

import pytest

from tests.e2e.service.http_clients import Agent, Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.notification_readers import open_stream, read_all, read_page, start_long_poll
from tests.e2e.service.service_process import Json, run_until_exit

CONTACT = "user@example.com"
RETENTION_SECONDS = 2.0
SERVE = ("--notification-retention-hours", str(RETENTION_SECONDS / 3_600))


async def told_and_aged(tenant: Tenant) -> tuple[Agent, Agent, list[int]]:
    """Two agents, the first of which was told three things so long ago that they are not kept."""
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT)
    told = [event["sequence"] for event in await tenant.events() if _is_noticed(event)]

    async def aged() -> bool:
        gap = (await read_page(ann))["gap"]
        return gap is not None and gap["until"] == told[-1]

    await wait_until(aged)
    return ann, bob, told


def _is_noticed(event: Json) -> bool:
    return event["type"] in {"AgentRegistered", "LeaseConflicted"}


async def test_gap_names_the_removed_range(tenant: Tenant) -> None:
    ann, bob, told = await told_and_aged(tenant)
    for agent in (ann, bob):
        for after in (0, *told):
            found = await read_page(agent, after)
            left_out = [sequence for sequence in told if sequence > after]
            gap = {"after": after, "until": told[-1]} if left_out else None
            assert (found["gap"], found["notifications"]) == (gap, [])
            assert found["next"] == found["head"]


async def test_notifications_after_the_gap_are_readable(tenant: Tenant) -> None:
    """Whatever was not left out is there: nothing is in neither."""
    ann, bob, told = await told_and_aged(tenant)
    await bob.acquire(bob.id, CONTACT)
    new = await tenant.head()

    found = await read_page(ann)

    assert found["gap"]["after"] == 0
    served = [notification["sequence"] for notification in found["notifications"]]
    assert [one for one in (*told, new) if one > found["gap"]["until"]] == served


async def test_long_poll_returns_a_gap_immediately(tenant: Tenant) -> None:
    ann, _, told = await told_and_aged(tenant)

    found = await start_long_poll(ann, 0, 30)

    assert found["gap"] == {"after": 0, "until": told[-1]}


async def test_stream_sends_the_gap_before_the_remaining_notifications(tenant: Tenant) -> None:
    ann, bob, told = await told_and_aged(tenant)
    async with open_stream(ann, last=told[0]) as stream:
        frame = await stream.frame()
        assert (frame.event, frame.id) == ("gap", str(told[-1]))
        assert frame.json() == {"after": told[0], "until": told[-1]}
        await bob.acquire(bob.id, CONTACT)
        frame = await stream.frame()
        assert frame.id == str(await tenant.head()), "as a notification, or as a gap of its own"


async def test_heartbeat_names_a_removed_notification(tenant: Tenant) -> None:
    """So that an agent that missed it asks, and is told of the gap."""
    ann, _, told = await told_and_aged(tenant)

    assert (await ann.heartbeat(ann.id))["lastNotification"] == told[-1]
    assert await read_all(ann, told[-1]) == []


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "0.0001", "long"])
def test_invalid_retention_is_rejected(tmp_path: Path, hours: str) -> None:
    refused = run_until_exit(tmp_path / "data", "--notification-retention-hours", hours)

    assert refused.returncode == 2
    assert "--notification-retention-hours" in refused.stderr
