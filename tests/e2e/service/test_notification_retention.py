"""Notifications are kept for a limited time, and removed ones are reported as a gap.

The age of notifications depends on the machine, so each test holds at any time.
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


async def agents_with_gap(tenant: Tenant) -> tuple[Agent, Agent, list[int]]:
    """Two agents; the three notifications of the first one are past their retention time."""
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT)
    sequences = [event["sequence"] for event in await tenant.events() if _has_notification(event)]

    async def removed() -> bool:
        gap = (await read_page(ann))["gap"]
        return gap is not None and gap["until"] == sequences[-1]

    await wait_until(removed)
    return ann, bob, sequences


def _has_notification(event: Json) -> bool:
    return event["type"] in {"AgentRegistered", "LeaseConflicted"}


async def test_gap_names_the_removed_range(tenant: Tenant) -> None:
    ann, bob, sequences = await agents_with_gap(tenant)
    for agent in (ann, bob):
        for after in (0, *sequences):
            found = await read_page(agent, after)
            removed_ones = [sequence for sequence in sequences if sequence > after]
            gap = {"after": after, "until": sequences[-1]} if removed_ones else None
            assert (found["gap"], found["notifications"]) == (gap, [])
            assert found["next"] == found["head"]


async def test_notifications_after_the_gap_are_readable(tenant: Tenant) -> None:
    """Every notification is either in the gap or in the page."""
    ann, bob, sequences = await agents_with_gap(tenant)
    await bob.acquire(bob.id, CONTACT)
    new = await tenant.head()

    found = await read_page(ann)

    assert found["gap"]["after"] == 0
    served = [notification["sequence"] for notification in found["notifications"]]
    assert [one for one in (*sequences, new) if one > found["gap"]["until"]] == served


async def test_long_poll_returns_a_gap_immediately(tenant: Tenant) -> None:
    ann, _, sequences = await agents_with_gap(tenant)

    found = await start_long_poll(ann, 0, 30)

    assert found["gap"] == {"after": 0, "until": sequences[-1]}


async def test_stream_sends_the_gap_before_the_remaining_notifications(tenant: Tenant) -> None:
    ann, bob, sequences = await agents_with_gap(tenant)
    async with open_stream(ann, last=sequences[0]) as stream:
        frame = await stream.frame()
        assert (frame.event, frame.id) == ("gap", str(sequences[-1]))
        assert frame.json() == {"after": sequences[0], "until": sequences[-1]}
        await bob.acquire(bob.id, CONTACT)
        frame = await stream.frame()
        assert frame.id == str(await tenant.head()), "as a notification or as another gap"


async def test_heartbeat_names_a_removed_notification(tenant: Tenant) -> None:
    """An agent that missed it then reads the gap."""
    ann, _, sequences = await agents_with_gap(tenant)

    assert (await ann.heartbeat(ann.id))["lastNotification"] == sequences[-1]
    assert await read_all(ann, sequences[-1]) == []


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "0.0001", "long"])
def test_invalid_retention_is_rejected(tmp_path: Path, hours: str) -> None:
    refused = run_until_exit(tmp_path / "data", "--notification-retention-hours", hours)

    assert refused.returncode == 2
    assert "--notification-retention-hours" in refused.stderr
