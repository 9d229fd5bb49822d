"""Operators pause and resume the schedules of all agents, each with a reason and once."""

import pytest

from quorate.domain.sessions.schedule_commands import PauseAnySchedule, ResumeAnySchedule
from quorate.domain.sessions.schedules import (
    SCHEDULES,
    ScheduleCreated,
    ScheduleDeleted,
    ScheduleNotFound,
    SchedulePaused,
    ScheduleResumed,
)
from quorate.domain.shared.contents import ContentRef
from tests.unit.support.specification import NOON, Scenario, TimedEvent, after, given

PAUSE = PauseAnySchedule(schedule_id="s", detail="Too many reports")
RESUME = ResumeAnySchedule(schedule_id="s", detail="Fixed")
LATER = after(minutes=7)
CREATED = ScheduleCreated(
    schedule_id="s",
    agent_id="agent_ann",
    times={"every_seconds": 300},
    contents=(ContentRef(part="text", sha256="0" * 64, bytes=1),),
    tool_controls={},
    missed="one",
    next_at=after(minutes=5),
)
PAUSED = SchedulePaused(
    schedule_id="s", agent_id="agent_ann", reason="operator", detail="Too many reports"
)
RESUMED = ScheduleResumed(
    schedule_id="s", agent_id="agent_ann", next_at=after(minutes=10), detail="Fixed"
)


def created(*more: ScheduleDeleted | SchedulePaused) -> Scenario:
    return given(*[TimedEvent(at=NOON, event=one) for one in (CREATED, *more)])


def test_operator_pauses_a_schedule_once_and_says_why() -> None:
    scenario = created().when(PAUSE).then(TimedEvent(at=NOON, event=PAUSED))

    assert scenario.tenant_state[SCHEDULES]["s"].paused_reason == "operator"
    scenario.when(PAUSE).then_nothing()


def test_operator_resumes_a_schedule_once_with_the_next_occurrence() -> None:
    scenario = created(PAUSED).when(RESUME, at=LATER).then(TimedEvent(at=LATER, event=RESUMED))

    assert scenario.tenant_state[SCHEDULES]["s"].status == "active"
    scenario.when(RESUME, at=LATER).then_nothing()


def test_schedule_that_its_agent_paused_stays_paused_by_it() -> None:
    requested = SchedulePaused(schedule_id="s", agent_id="agent_ann", reason="requested")
    scenario = created(requested).when(PAUSE).then_nothing()

    assert scenario.tenant_state[SCHEDULES]["s"].paused_reason == "requested"


@pytest.mark.parametrize("command", [PAUSE, RESUME])
def test_unknown_and_deleted_schedules_are_not_found(
    command: PauseAnySchedule | ResumeAnySchedule,
) -> None:
    Scenario().when(command).then_rejected(ScheduleNotFound("s"))
    deleted = ScheduleDeleted(schedule_id="s", agent_id="agent_ann")
    created(deleted).when(command).then_rejected(ScheduleNotFound("s"))
