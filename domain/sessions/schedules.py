"""A schedule: a turn of an agent that occurs again and again, or once (``schedule``).

* Each occurrence is one event, ``ScheduleFired``, with the time for which it was planned. What
  follows from it, a message in a session or a task for the workers of a preset, is recorded in the
  same transaction. So it happens once, however often and by any process it is asked for.
* An occurrence that is later than MISSED_AFTER_SECONDS was missed. ``missed`` says what happens:
  ``one`` fires the last one, ``skip`` none of them, ``all`` each, at most CAUGHT_UP_MAX in a row.
* An occurrence acts as the agent that created the schedule, under the presets of that request. When
  the agent is removed, or what it does is not permitted or not possible any more, the schedule is
  paused with the reason. Occurrences of a paused schedule are not missed: they do not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, TypeAlias, assert_never, get_args

from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.schedule_times import ScheduleTimes, parse_times
from quorate.domain.sessions.tool_controls import ToolControls, parse_tool_controls
from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.errors import Conflict, Invalid, LimitReached, NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.timestamps import Timestamp

SCHEDULE_TOOL = "schedule"
SCHEDULES_PER_TENANT_MAX = 1_000
SCHEDULE_NAME_LENGTH_MAX = 200
SCHEDULE_MESSAGE_LENGTH_MAX = 16_000
MISSED_AFTER_SECONDS = 60
CAUGHT_UP_MAX = 100
MESSAGE_PART = "text"
Missed: TypeAlias = Literal["one", "skip", "all"]
ScheduleStatus: TypeAlias = Literal["active", "paused", "finished"]
Fields: TypeAlias = Mapping[str, Any]

# -- Events ------------------------------------------------------------------


@record
class ScheduleCreated:
    """``times`` and ``tool_controls`` are JSON, as in the request; the message is a content."""

    schedule_id: str
    agent_id: str
    times: Fields
    contents: tuple[ContentRef, ...]
    tool_controls: Fields
    missed: Missed
    next_at: Timestamp
    schedule_name: str | None = None
    preset: str | None = None
    session_key: str | None = None
    preset_names: tuple[str, ...] | None = None


@record
class ScheduleFired:
    """``caught_up`` counts the occurrences in a row that were missed; ``manual``: by a request."""

    schedule_id: str
    agent_id: str
    occurrence_at: Timestamp
    next_at: Timestamp | None = None
    caught_up: int | None = None
    manual: bool | None = None
    schedule_name: str | None = None
    session_key: str | None = None
    message_id: str | None = None
    preset: str | None = None
    task_id: str | None = None


@record
class ScheduleSkipped:
    """The occurrences from ``occurrence_at`` to ``next_at`` were missed and do not fire."""

    schedule_id: str
    agent_id: str
    occurrence_at: Timestamp
    next_at: Timestamp | None = None


@record
class SchedulePaused:
    """``reason`` is ``requested``, ``operator``, or the code of the error that stopped it.

    ``detail`` is why an operator paused it.
    """

    schedule_id: str
    agent_id: str
    reason: str
    detail: str | None = None


@record
class ScheduleResumed:
    schedule_id: str
    agent_id: str
    next_at: Timestamp | None = None
    detail: str | None = None  # Why, if an operator resumed it.


@record
class ScheduleDeleted:
    schedule_id: str
    agent_id: str


Event: TypeAlias = (
    ScheduleCreated
    | ScheduleFired
    | ScheduleSkipped
    | SchedulePaused
    | ScheduleResumed
    | ScheduleDeleted
)


# -- State -------------------------------------------------------------------


@record
class Schedule:
    """``next_at`` is None when it does not occur again. ``preset`` or ``session_key`` is set."""

    id: str
    agent_id: str
    times: Fields
    part: str
    sha256: str
    bytes: int
    tool_controls: Fields
    missed: Missed
    created_at: Timestamp
    next_at: Timestamp | None
    name: str | None = None
    preset: str | None = None
    session_key: str | None = None
    preset_names: tuple[str, ...] = ()
    paused_reason: str | None = None
    last_at: Timestamp | None = None
    fired_count: int = 0
    caught_up: int = 0

    @property
    def is_deleted(self) -> bool:
        return self is DELETED_SCHEDULE

    @property
    def status(self) -> ScheduleStatus:
        if self.paused_reason is not None:
            return "paused"
        return "finished" if self.next_at is None else "active"

    @property
    def controls(self) -> ToolControls:
        fields = self.tool_controls
        return parse_tool_controls(fields.get("active_tools"), fields.get("tool_choice"))

    @property
    def restrictions(self) -> Restrictions:
        return Restrictions(preset_names=self.preset_names)

    def is_due(self, now: Timestamp) -> bool:
        return self.status == "active" and self.next_at is not None and self.next_at <= now

    @property
    def occurrences(self) -> ScheduleTimes:
        return parse_times(self.times)

    def next_after(self, after: Timestamp) -> Timestamp | None:
        return self.occurrences.next_after(after, self.created_at)


# Every schedule that was deleted: it has no row.
DELETED_SCHEDULE = Schedule(
    id="",
    agent_id="",
    times={},
    part="",
    sha256="",
    bytes=0,
    tool_controls={},
    missed="one",
    created_at=Timestamp(0),
    next_at=None,
)


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class UnknownScheduleAction(Invalid):
    code, title = "unknown_schedule_action", "There is no such action of schedule"
    detail = "unknown schedule action: {action}"
    action: str


@dataclass(eq=False)
class ScheduleNotFound(NotFound):
    """Unknown, or of another agent."""

    code, title = "schedule_not_found", "Schedule not found"
    detail = "schedule not found: {schedule_id}"
    schedule_id: str


@dataclass(eq=False)
class ScheduleAgentRemoved(Conflict):
    code, title = "schedule_agent_removed", "The agent that created the schedule was removed"


@dataclass(eq=False)
class TooManySchedules(LimitReached):
    code, title = "too_many_schedules", "The tenant has all the schedules that it may have"
    limit: int


# -- Evolve ------------------------------------------------------------------


def evolve(  # noqa: PLR0911 - one for each event.
    state: Schedule | None, event: Event, at: Timestamp
) -> Schedule:
    if isinstance(event, ScheduleCreated):
        (ref,) = event.contents
        return Schedule(
            id=event.schedule_id,
            agent_id=event.agent_id,
            times=event.times,
            part=ref.part,
            sha256=ref.sha256,
            bytes=ref.bytes,
            tool_controls=event.tool_controls,
            missed=event.missed,
            created_at=at,
            next_at=event.next_at,
            name=event.schedule_name,
            preset=event.preset,
            session_key=event.session_key,
            preset_names=event.preset_names or (),
        )
    assert state is not None, "the log changes a schedule that it never created"
    match event:
        case ScheduleFired():
            fired = changed(state, fired_count=state.fired_count + 1)
            if event.manual:
                return fired
            return changed(
                fired,
                next_at=event.next_at,
                last_at=event.occurrence_at,
                caught_up=event.caught_up or 0,
            )
        case ScheduleSkipped():
            return changed(state, next_at=event.next_at, caught_up=0)
        case SchedulePaused():
            return changed(state, paused_reason=event.reason)
        case ScheduleResumed():
            return changed(state, paused_reason=None, next_at=event.next_at, caught_up=0)
        case ScheduleDeleted():
            return DELETED_SCHEDULE
        case _:
            assert_never(event)


SCHEDULES: Aggregate[Schedule] = Aggregate(
    name="schedule",
    events=get_args(Event),
    stream=lambda event: f"schedule-{event.schedule_id}",
    id_of=attrgetter("schedule_id"),
    evolve=evolve,
    is_final=attrgetter("is_deleted"),
    erases={ScheduleDeleted: attrgetter("schedule_id")},
)
