"""Schedules over simulated time, on both databases: each occurrence once, by any process."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from quorate.application.sessions.occurrences import make_occurrence
from quorate.domain.identity.agent_departures import RemoveAgent
from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.tenants import PauseTenant, UnpauseTenant
from quorate.domain.sessions.presets import ApplyPreset, RemovePreset, Restrictions
from quorate.domain.sessions.schedule_commands import (
    CreateSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
)
from quorate.domain.sessions.schedule_firing import FireSchedule, SettleSchedule
from quorate.domain.sessions.schedule_times import parse_times
from quorate.domain.sessions.schedules import CAUGHT_UP_MAX, Missed, Schedule
from quorate.domain.sessions.tool_controls import parse_tool_controls
from quorate.domain.shared.contents import Content
from quorate.domain.shared.quotas import Quotas
from quorate.domain.shared.timestamps import Timestamp, instant, iso
from quorate.eventlog.contents import ContentReader
from quorate.projections.sessions.schedules import ScheduleQueries
from quorate.server.schedule_runner import ScheduleRunner
from tests.conformance.eventlog.conformance import TENANT, Platform, Stage
from tests.unit.support.sample_commands import TENANT_KEY, deregister, id_of
from tests.unit.support.specification import NOON

ANN = AgentRef(name="ann")
MINUTES, HOURS, DAYS = 60_000, 3_600_000, 86_400_000


def new_schedule(
    times: dict[str, Any],
    number: int = 1,
    missed: Missed = "one",
    **more: Any,  # noqa: ANN401 - fields of the command.
) -> CreateSchedule:
    id_ = f"sched_{number:03}"
    return CreateSchedule(
        caller=TENANT_KEY,
        agent=ANN,
        restrictions=Restrictions(preset_names=more.pop("presets", ())),
        schedule_id=id_,
        times=parse_times(times),
        message=Content(id=id_, part="text", salt=b"s" * 16, data=b"Write the report."),
        controls=parse_tool_controls(["write"], "any"),
        missed=missed,
        count=0,
        **more,
    )


def of_request(command: Any, number: int = 1) -> Any:  # noqa: ANN401 - a command on a schedule.
    return command(
        caller=TENANT_KEY,
        agent=ANN,
        restrictions=Restrictions(),
        schedule_id=f"sched_{number:03}",
    )


TASK_RETENTION_SECONDS = 12_345  # As the operator set it.


class Simulation:
    """A stage whose time passes in steps, with a runner of the schedules after each."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @property
    def queries(self) -> ScheduleQueries:
        return ScheduleQueries(self.stage.log, self.stage.clock)

    def runner(self, stage: Stage | None = None) -> ScheduleRunner:
        stage = stage or self.stage
        queries = ScheduleQueries(stage.log, stage.clock)
        return ScheduleRunner(
            *(stage.command_bus, queries, stage.clock, stage.event_ids),
            task_retention_seconds=TASK_RETENTION_SECONDS,
        )

    async def wait(self, milliseconds: int) -> None:
        self.stage.clock.move(milliseconds=milliseconds)
        await self.fire()

    async def fire(self) -> None:
        while await self.runner().fire_due():
            pass

    async def schedule(self, number: int = 1) -> Schedule:
        found = (await self.queries.get(TENANT, f"sched_{number:03}")).found
        assert found is not None
        return found

    async def data(self, *types: str) -> list[dict[str, Any]]:
        return [orjson.loads(one.data) for one in await self.stage.events() if one.type in types]

    async def fired(self) -> list[str]:
        """Return the times of all occurrences since noon, as minutes and seconds."""
        return [one["occurrenceAt"][11:19] for one in await self.data("ScheduleFired")]


@pytest.fixture
async def simulation(stage: Stage) -> Simulation:
    await stage.create_agents("ann")
    return Simulation(stage)


# -- What an occurrence does ---------------------------------------------------


async def test_occurrence_appends_its_turn_to_the_main_session(simulation: Simulation) -> None:
    await simulation.stage.execute(new_schedule({"every_seconds": 300}, name="report"))
    await simulation.wait(5 * MINUTES)
    (fired,) = await simulation.data("ScheduleFired")
    (message,) = await simulation.data("SessionMessageAppended")
    assert fired["occurrenceAt"] == iso(Timestamp(NOON + 5 * MINUTES))
    assert fired["messageId"] == message["messageId"]
    assert message["sessionKey"] == "agent:ann:main"
    assert message["contextLabel"] == "schedule:report"
    reader = ContentReader(simulation.stage.log)
    async with simulation.stage.log.read() as transaction:
        contents = await reader._store.read(transaction, TENANT, [message["messageId"]])
    (content,) = contents.values()
    assert orjson.loads(content.data) == {
        "kind": "agentTurn",
        "message": "Write the report.",
        "active_tools": ["write"],
        "tool_choice": {"type": "any"},
    }


async def test_occurrence_submits_a_task_of_its_preset(simulation: Simulation) -> None:
    preset = ApplyPreset(caller=TENANT_KEY, name="writer", fields={"model": "small"}, count=0)
    await simulation.stage.execute(preset, new_schedule({"every_seconds": 60}, preset="writer"))
    await simulation.wait(MINUTES)
    (fired,) = await simulation.data("ScheduleFired")
    (task,) = await simulation.data("TaskSubmitted")
    assert fired["taskId"] == task["taskId"]
    assert (task["spawnerId"], task["preset"], task["model"]) == (id_of("ann"), "writer", "small")
    assert task["toolControls"] == {"active_tools": ["write"], "tool_choice": {"type": "any"}}
    assert task["retentionSeconds"] == TASK_RETENTION_SECONDS


async def test_schedule_is_paused_when_its_task_is_one_too_many(simulation: Simulation) -> None:
    simulation.stage.quotas = Quotas(open_tasks_per_agent=1)
    await simulation.stage.restart()
    preset = ApplyPreset(caller=TENANT_KEY, name="writer", fields={}, count=0)
    await simulation.stage.execute(preset, new_schedule({"every_seconds": 60}, preset="writer"))
    await simulation.wait(MINUTES)
    await simulation.wait(MINUTES)
    assert len(await simulation.data("TaskSubmitted")) == 1
    (paused,) = await simulation.data("SchedulePaused")
    assert paused["reason"] == "quota_exceeded"


# -- Missed occurrences --------------------------------------------------------


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("one", ["12:10:00"]),
        ("skip", []),
        ("all", ["12:05:00", "12:10:00"]),
    ],
)
async def test_outage_over_several_occurrences(
    simulation: Simulation, missed: Missed, expected: list[str]
) -> None:
    await simulation.stage.execute(new_schedule({"every_seconds": 300}, missed=missed))
    await simulation.wait(12 * MINUTES)
    assert await simulation.fired() == expected
    assert (await simulation.schedule()).next_at == NOON + 15 * MINUTES
    await simulation.wait(3 * MINUTES)
    assert await simulation.fired() == [*expected, "12:15:00"]
    await simulation.wait(30_000)
    assert len(await simulation.fired()) == len(expected) + 1


async def test_late_occurrence_that_was_not_missed_fires(simulation: Simulation) -> None:
    await simulation.stage.execute(new_schedule({"every_seconds": 300}, missed="skip"))
    await simulation.wait(6 * MINUTES)
    assert await simulation.fired() == ["12:05:00"], "it is late by less than a minute"


async def test_catching_up_is_bounded(simulation: Simulation) -> None:
    await simulation.stage.execute(new_schedule({"every_seconds": 60}, missed="all"))
    await simulation.wait(30 * DAYS)
    fired = await simulation.data("ScheduleFired")
    assert len(fired) == CAUGHT_UP_MAX + 1, "and the last one, which is due now"
    assert (await simulation.schedule()).next_at == simulation.stage.clock.now + MINUTES


async def test_single_time_fires_even_when_late(simulation: Simulation) -> None:
    await simulation.stage.execute(new_schedule({"at": "2026-03-01T12:30:00Z"}))
    await simulation.wait(9 * DAYS)
    assert await simulation.fired() == ["12:30:00"]
    assert (await simulation.schedule()).status == "finished"


# -- Paused and deleted --------------------------------------------------------


async def test_paused_schedule_does_not_occur(simulation: Simulation) -> None:
    await simulation.stage.execute(new_schedule({"every_seconds": 300}, missed="all"))
    await simulation.stage.execute(of_request(PauseSchedule))
    await simulation.wait(HOURS)
    assert await simulation.fired() == []
    assert (await simulation.schedule()).paused_reason == "requested"
    await simulation.stage.execute(of_request(ResumeSchedule))
    await simulation.wait(5 * MINUTES)
    assert await simulation.fired() == ["13:05:00"]
    await simulation.stage.execute(of_request(DeleteSchedule))
    await simulation.wait(HOURS)
    assert len(await simulation.fired()) == 1
    assert await simulation.queries.messages(TENANT, ["sched_001"]) == {}, "its message is erased"


@pytest.mark.parametrize(("missed", "expected"), [("one", ["12:10:00"]), ("skip", [])])
async def test_pause_of_the_tenant_is_an_outage(
    simulation: Simulation, missed: Missed, expected: list[str]
) -> None:
    stage = simulation.stage
    await stage.execute(new_schedule({"every_seconds": 300}, missed=missed))
    await stage.execute(PauseTenant(tenant_id=TENANT))
    await simulation.wait(12 * MINUTES)
    assert await simulation.queries.due(stage.clock.now) == []
    assert await simulation.fired() == []
    await stage.execute(UnpauseTenant(tenant_id=TENANT))
    await simulation.fire()
    assert await simulation.fired() == expected


async def test_occurrence_that_was_read_before_the_pause_does_not_fire(
    simulation: Simulation,
) -> None:
    stage = simulation.stage
    await stage.execute(new_schedule({"every_seconds": 300}))
    stage.clock.move(milliseconds=5 * MINUTES)
    ((_, schedule),) = await simulation.queries.due(stage.clock.now)
    occurrence = make_occurrence(schedule, "Hello", "new", TASK_RETENTION_SECONDS)
    await stage.execute(PauseTenant(tenant_id=TENANT))
    await stage.execute(FireSchedule(occurrence=occurrence), SettleSchedule(occurrence=occurrence))
    assert (await stage.types())[-1] == "TenantPaused"
    await stage.execute(UnpauseTenant(tenant_id=TENANT), FireSchedule(occurrence=occurrence))
    assert await simulation.fired() == ["12:05:00"]


async def test_schedule_of_an_agent_that_left_continues(simulation: Simulation) -> None:
    await simulation.stage.execute(new_schedule({"every_seconds": 300}))
    await simulation.stage.execute(deregister("ann"))
    await simulation.wait(5 * MINUTES)
    assert len(await simulation.fired()) == 1


async def test_schedule_of_a_removed_agent_is_paused(simulation: Simulation) -> None:
    await simulation.stage.execute(new_schedule({"every_seconds": 300}))
    await simulation.stage.execute(deregister("ann"), RemoveAgent(agent_id=id_of("ann")))
    await simulation.wait(5 * MINUTES)
    assert await simulation.fired() == []
    assert (await simulation.schedule()).paused_reason == "schedule_agent_removed"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tools": {"deny": ["schedule"]}}, "tool_denied"),
        ({"sessions": {"can_send": False}}, "session_send_denied"),
        ({"sessions": {"key_prefix": "agent:other:"}}, "session_access_denied"),
        (None, "tool_denied"),
    ],
)
async def test_schedule_is_paused_when_the_policy_forbids_it(
    simulation: Simulation, fields: dict[str, Any] | None, reason: str
) -> None:
    apply: dict[str, Any] = {"caller": TENANT_KEY, "name": "own", "count": 0}
    await simulation.stage.execute(ApplyPreset(**apply, fields={}))
    await simulation.stage.execute(new_schedule({"every_seconds": 300}, presets=("own",)))
    change: Any = (
        RemovePreset(caller=TENANT_KEY, name="own")
        if fields is None
        else ApplyPreset(**apply, fields=fields)
    )
    await simulation.stage.execute(change)
    await simulation.wait(5 * MINUTES)
    assert (await simulation.fired(), (await simulation.schedule()).paused_reason) == ([], reason)


# -- Once, over a year ---------------------------------------------------------

CRONS = ("0 9 * * 1-5", "30 2 * * *", "45 1 1 * *", "0 0 31 * *", "15 3 29 2 *", "*/20 2 * 10 0")
ZONES = ("Europe/Berlin", "America/New_York", "UTC")


def year_of_schedules(number: int) -> Sequence[dict[str, Any]]:
    rng = random.Random(5)
    found: list[dict[str, Any]] = []
    for index in range(number):
        match index % 4:
            case 0:
                found.append({"every_seconds": rng.randint(20, 90) * 86_400})
            case 1:
                found.append({"at": iso(Timestamp(NOON + rng.randint(1, 360) * DAYS))})
            case _:
                month = rng.randint(1, 12)
                cron = f"{rng.randrange(60)} {rng.choice((1, 2, 3))} * {month} {index % 7}"
                found.append({"cron": cron, "timezone": rng.choice(ZONES)})
    return found


async def test_each_occurrence_of_a_year_fires_once(platform: Platform) -> None:
    """Two replicas fire at once, in steps of random lengths, and restart again and again."""
    first, second = Stage(platform), None
    await first.open()
    rng = random.Random(7)
    try:
        await first.create_agents("ann")
        schedules = year_of_schedules(40)
        commands = [new_schedule(times, number, "all") for number, times in enumerate(schedules, 1)]
        await asyncio.gather(*map(first.submit, commands))
        if platform.database().shared_time is not None:
            second = Stage(platform)
            second.clock = first.clock
            second._time = first.clock
            second._build()
            await second.open()
        simulation = Simulation(first)
        end = Timestamp(NOON + 366 * DAYS)
        while first.clock.now < end:
            first.clock.move(milliseconds=rng.choice((1, 3, 10, 20)) * DAYS)
            for stage in (first, second):
                if stage is not None and rng.random() < 0.1:
                    await stage.restart()
            runners = [simulation.runner(one) for one in (first, first, second) if one is not None]
            while any(await asyncio.gather(*(one.fire_due() for one in runners))):
                pass
        found = await simulation.data("ScheduleFired")
        messages = await simulation.data("SessionMessageAppended")
    finally:
        for stage in (first, second):
            if stage is not None:
                await stage.close()
    expected = [
        (f"sched_{number:03}", iso(at))
        for number, times in enumerate(schedules, 1)
        for at in _planned(times, first.clock.now)
    ]
    assert sorted((one["scheduleId"], one["occurrenceAt"]) for one in found) == sorted(expected)
    assert [one["messageId"] for one in found] == [one["messageId"] for one in messages]
    assert len(expected) > 80


def _planned(times: dict[str, Any], until: Timestamp) -> list[Timestamp]:
    parsed, found = parse_times(times), []
    at = parsed.next_after(NOON, NOON)
    while at is not None and at <= until:
        found.append(at)
        at = parsed.next_after(at, NOON)
    return found


def test_clock_of_the_simulation_begins_at_noon() -> None:
    assert instant("2026-03-01T12:00:00Z") == NOON
