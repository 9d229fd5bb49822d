"""``agent.tasks`` and ``agent.schedules``, over HTTP and NATS, async and blocking."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from quorate.client import (
    ListItemChanged,
    ListItemNotClaimableError,
    ListTask,
    ScheduleFired,
    ScheduleInvalidError,
    ScheduleNotFoundError,
    VersionMismatchError,
)
from quorate.client.blocking import Agent as BlockingAgent
from tests.e2e.client.agent_fleet import Fleet, time_limit


async def test_one_of_two_agents_gets_a_task(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        first = await ann.tasks.create("one", "All of it", list_id="work")
        second = await ann.tasks.create("two", list_id="work", blocked_by=[first])
        claims = await asyncio.gather(
            *(one.tasks.claim(first) for one in (ann, bob)), return_exceptions=True
        )
        (claimed,) = [one for one in claims if isinstance(one, ListTask)]
        (refused,) = [one for one in claims if isinstance(one, ListItemNotClaimableError)]
        owner = ann if claimed.owner == "ann" else bob
        done = await owner.tasks.complete(claimed, expected_version=claimed.version)
        with pytest.raises(VersionMismatchError):
            await ann.tasks.update(second, subject="2", expected_version=9)
        found = await bob.tasks.list("work")
        ids = await bob.tasks.list_ids()
        unknown = await bob.tasks.get("9", list_id="work")

    assert refused.detail == "task 1 cannot be claimed: current status is in_progress"
    assert [(one.id, one.status, one.blocked_by) for one in found] == [
        ("1", "completed", []),
        ("2", "pending", ["1"]),
    ]
    assert (done.version, ids, unknown) == (3, ["work"], None)


async def test_changes_of_a_followed_list_arrive(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        await bob.tasks.follow("work")
        changes = bob.tasks.changes("work")
        task = await ann.tasks.create("one", list_id="work")
        await ann.tasks.create("elsewhere")
        await ann.tasks.claim(task)
        await ann.tasks.release(task)
        await ann.tasks.delete(task)
        seen = [await anext(changes) for _ in range(4)]
        await changes.aclose()

    assert all(isinstance(one, ListItemChanged) for one in seen)
    assert [one.change for one in seen if isinstance(one, ListItemChanged)] == [
        *("created", "claimed", "released", "deleted")
    ]


async def test_schedule_fires_at_its_time(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, time_limit():
        soon = datetime.now(UTC) + timedelta(seconds=2)
        created = await ann.schedules.create("Good morning", at=soon, name="once")
        fired = await anext(
            one.data async for one in ann.notifications() if isinstance(one.data, ScheduleFired)
        )
        shown = await ann.schedules.get(created)
        await ann.schedules.delete(shown)
        with pytest.raises(ScheduleNotFoundError):
            await ann.schedules.get(created)
        with pytest.raises(ScheduleInvalidError, match="Bad minute"):
            await ann.schedules.create("Never", cron="61 * * * *")

    assert (fired.schedule_id, fired.name) == (created.id, "once")
    assert (shown.status, shown.fired_count, shown.session_key) == (
        *("finished", 1),
        "agent:ann:main",
    )


async def test_blocking_agent_has_tasks_and_schedules(fleet: Fleet) -> None:
    key = await fleet.get_key("ann")

    def work() -> tuple[str, str, int]:
        with BlockingAgent.connect(fleet.service.url, key, nats_url=fleet.nats_url) as agent:
            task = agent.tasks.complete(agent.tasks.claim(agent.tasks.create("one")))
            schedule = agent.schedules.create("Hello", every_seconds=3_600, missed="skip")
            ran = agent.schedules.run_now(schedule)
            paused = agent.schedules.pause(schedule)
            return task.status, paused.status, ran.fired_count

    assert await asyncio.to_thread(work) == ("completed", "paused", 1)
