"""The commands of ``schedule``: create, pause, resume, delete and fire schedules.

A turn for a session of the creator itself has no sender: its owner is to be notified of it.
"""

from collections.abc import Sequence

from quorate.domain.identity.agents import AGENTS, Agent, AgentRef, acting, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.policies import Access
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.schedule_times import ScheduleInvalid, ScheduleTimes
from quorate.domain.sessions.schedules import (
    CAUGHT_UP_MAX,
    MISSED_AFTER_SECONDS,
    SCHEDULE_TOOL,
    SCHEDULES,
    SCHEDULES_PER_TENANT_MAX,
    Event,
    Missed,
    Schedule,
    ScheduleAgentRemoved,
    ScheduleCreated,
    ScheduleDeleted,
    ScheduleFired,
    ScheduleNotFound,
    SchedulePaused,
    ScheduleResumed,
    ScheduleSkipped,
    TooManySchedules,
)
from quorate.domain.sessions.session_messages import MESSAGE_BYTES, append_message
from quorate.domain.sessions.sessions import main_session_key, reads_of_session, visible_session
from quorate.domain.sessions.task_submission import SPAWN_TOOL, TaskRequest, submit_task
from quorate.domain.sessions.tool_controls import ToolControls
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp

REQUESTED = "requested"


def _reads_of_target(preset: str | None, session_key: str | None) -> Reads:
    if preset is not None:
        return TaskRequest(task_id="", preset=preset).reads()
    assert session_key is not None
    return (*reads_of_session(session_key), quotas.COUNTS)


@record
class CreateSchedule:
    """Create a schedule. ``count`` is how many the tenant has; ``message`` is a content.

    Without ``preset`` and ``session_key``, the turn goes to the main session of the agent, whose
    name is ``agent_name``.
    """

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    schedule_id: str
    times: ScheduleTimes
    message: Content
    controls: ToolControls
    missed: Missed
    count: int
    name: str | None = None
    preset: str | None = None
    session_key: str | None = None

    def contents(self) -> Sequence[Content]:
        return (self.message,)

    def reads(self) -> Reads:
        found = (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
        )
        if self.preset is None and self.session_key is None:
            return found
        return (*found, *_reads_of_target(self.preset, self.session_key))

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent = acting(self.caller, self.agent, state)
        access = self.restrictions.access(state, agent.id)
        session_key = self.session_key
        if self.preset is None and session_key is None:
            session_key = main_session_key(agent.name)
            _check_session(access, session_key, agent.id)
        elif session_key is not None:
            access.check_tool(SCHEDULE_TOOL)
            visible_session(state, access, session_key)
            access.check_send()
        else:
            _check_task(access)
        if self.count >= SCHEDULES_PER_TENANT_MAX:
            raise TooManySchedules(SCHEDULES_PER_TENANT_MAX)
        next_at = self.times.next_after(context.now, context.now)
        if next_at is None:
            raise ScheduleInvalid("it does not occur in the future")
        return [
            ScheduleCreated(
                schedule_id=self.schedule_id,
                agent_id=agent.id,
                times=self.times.to_json(),
                contents=(self.message.ref,),
                tool_controls=self.controls.to_json(),
                missed=self.missed,
                next_at=next_at,
                schedule_name=self.name,
                preset=self.preset,
                session_key=session_key,
                preset_names=self.restrictions.preset_names or None,
            )
        ]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Schedule:
        return state[SCHEDULES][self.schedule_id]


def _check_session(access: Access, key: str, owner_id: str) -> None:
    access.check_tool(SCHEDULE_TOOL)
    access.check_visible(key, owner_id)
    access.check_send()


def _check_task(access: Access) -> None:
    access.check_tool(SCHEDULE_TOOL)
    access.check_tool(SPAWN_TOOL)


# -- Occurrences ---------------------------------------------------------------


@record
class Occurrence:
    """What an occurrence needs besides the state: ids and the body that it sends.

    ``schedule`` is as it was read before; what it names never changes. The content has the id of
    the message, or of the task.
    """

    schedule: Schedule
    content: Content

    def reads(self) -> Reads:
        schedule = self.schedule
        return (
            *SCHEDULES.by("id", schedule.id),
            *AGENTS.by("id", schedule.agent_id),
            *schedule.restrictions.reads(),
            *_reads_of_target(schedule.preset, schedule.session_key),
        )

    def fire(  # noqa: PLR0917 - when, and what follows.
        self,
        state: TenantState,
        context: DecisionContext,
        schedule: Schedule,
        occurrence_at: Timestamp,
        next_at: Timestamp | None,
        caught_up: int,
        *,
        is_manual: bool = False,
    ) -> list[Event]:
        """Return the occurrence and what follows from it; raise DomainError."""
        followed = self._followed(state, context, schedule)
        is_task = schedule.preset is not None
        fired = ScheduleFired(
            schedule_id=schedule.id,
            agent_id=schedule.agent_id,
            occurrence_at=occurrence_at,
            next_at=next_at,
            caught_up=caught_up or None,
            manual=True if is_manual else None,
            schedule_name=schedule.name,
            session_key=schedule.session_key,
            message_id=None if is_task else self.content.id,
            preset=schedule.preset,
            task_id=self.content.id if is_task else None,
        )
        return [fired, *followed]

    def _followed(
        self, state: TenantState, context: DecisionContext, schedule: Schedule
    ) -> list[Event]:
        agent = state[AGENTS].get(schedule.agent_id)
        if agent is None or agent.status == "removed":
            raise ScheduleAgentRemoved
        access = schedule.restrictions.access(state, agent.id)
        if schedule.preset is not None:
            _check_task(access)
            return self._task(state, context, schedule, agent)
        access.check_tool(SCHEDULE_TOOL)
        assert schedule.session_key is not None
        session = visible_session(state, access, schedule.session_key)
        access.check_send()
        size = len(self.content.data) + MESSAGE_BYTES
        count = state.count("session_bytes")
        quotas.check("session_bytes", count, context.quotas, more=size)
        return append_message(
            state,
            session,
            sequence=context.sequence + 1,
            message_id=self.content.id,
            role="user",
            content=self.content,
            from_agent_id=None if session.owner_id == agent.id else agent.id,
            context_label=f"schedule:{schedule.name or schedule.id}",
        )

    def _task(
        self, state: TenantState, context: DecisionContext, schedule: Schedule, agent: Agent
    ) -> list[Event]:
        request = TaskRequest(
            task_id=self.content.id, preset=schedule.preset, controls=schedule.controls
        )
        submitted: list[Event] = list(
            submit_task(  # type: ignore[arg-type]  # An event of another aggregate.
                state,
                context,
                request,
                spawner_id=agent.id,
                contents=(self.content,),
                sequence=context.sequence + 1,
            )
        )
        return submitted


def _planned(occurrence: Occurrence, state: TenantState, context: DecisionContext) -> list[Event]:
    """Return what is to be recorded of the occurrence that is due; raise DomainError."""
    schedule = state[SCHEDULES].get(occurrence.schedule.id)
    if schedule is None or schedule.is_deleted or not schedule.is_due(context.now):
        return []
    first, now = schedule.next_at, context.now
    assert first is not None
    missed_until = now - MISSED_AFTER_SECONDS * MILLISECONDS_PER_SECOND
    if first >= missed_until:
        return occurrence.fire(state, context, schedule, first, schedule.next_after(first), 0)
    caught_up = schedule.caught_up
    if schedule.missed == "all" and caught_up < CAUGHT_UP_MAX:
        following = schedule.next_after(first)
        return occurrence.fire(state, context, schedule, first, following, caught_up + 1)
    last = schedule.occurrences.last_until(first, now, schedule.created_at)
    following = schedule.next_after(now)
    if schedule.missed == "one" or last >= missed_until:
        return occurrence.fire(state, context, schedule, last, following, 0)
    return [
        ScheduleSkipped(
            schedule_id=schedule.id,
            agent_id=schedule.agent_id,
            occurrence_at=first,
            next_at=following,
        )
    ]


@record
class FireSchedule:
    """Fire the occurrence that is due, if one is: the command of the schedule runner.

    Several replicas may submit it, or one of them several times: the first one fires. It records
    nothing else, because its content needs the event of a message or of a task.
    """

    occurrence: Occurrence

    def contents(self) -> Sequence[Content]:
        return (self.occurrence.content,)

    def reads(self) -> Reads:
        return self.occurrence.reads()

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        try:
            events = _planned(self.occurrence, state, context)
        except DomainError:
            return []
        return events if events and isinstance(events[0], ScheduleFired) else []

    def result(self, _state: TenantState, events: Sequence[Event]) -> bool:
        """Return whether it fired, so that another occurrence may be due."""
        return bool(events)


@record
class SettleSchedule:
    """Pause a schedule whose occurrence is due and impossible, or skip occurrences."""

    occurrence: Occurrence

    def reads(self) -> Reads:
        return self.occurrence.reads()

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        try:
            events = _planned(self.occurrence, state, context)
        except DomainError as error:
            return [paused(state[SCHEDULES][self.occurrence.schedule.id], error.code)]
        return events if events and isinstance(events[0], ScheduleSkipped) else []

    def result(self, _state: TenantState, events: Sequence[Event]) -> bool:
        return bool(events)


def paused(schedule: Schedule, reason: str) -> SchedulePaused:
    return SchedulePaused(schedule_id=schedule.id, agent_id=schedule.agent_id, reason=reason)


# -- Requests ------------------------------------------------------------------


class _ScheduleCommand:
    """A command of the agent that created a schedule, or of a key of the tenant."""

    __slots__ = ()
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    schedule_id: str

    def reads(self) -> Reads:
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
            *SCHEDULES.by("id", self.schedule_id),
        )

    def _own(self, state: TenantState) -> Schedule:
        names_agent = self.caller.role == "agent" or self.agent != AgentRef()
        agent_id = acting(self.caller, self.agent, state).id if names_agent else None
        self.restrictions.access(state, agent_id).check_tool(SCHEDULE_TOOL)
        schedule = state[SCHEDULES].get(self.schedule_id)
        if schedule is None or schedule.is_deleted or agent_id not in {None, schedule.agent_id}:
            raise ScheduleNotFound(self.schedule_id)
        return schedule

    def result(self, state: TenantState, _events: Sequence[Event]) -> Schedule:
        return state[SCHEDULES][self.schedule_id]


@record
class PauseSchedule(_ScheduleCommand):
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    schedule_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        schedule = self._own(state)
        return [paused(schedule, REQUESTED)] if schedule.status == "active" else []


@record
class ResumeSchedule(_ScheduleCommand):
    """Continue with the next occurrence from now on."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    schedule_id: str

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        schedule = self._own(state)
        if schedule.status != "paused":
            return []
        return [
            ScheduleResumed(
                schedule_id=schedule.id,
                agent_id=schedule.agent_id,
                next_at=schedule.next_after(context.now),
            )
        ]


@record
class DeleteSchedule(_ScheduleCommand):
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    schedule_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        schedule = self._own(state)
        return [ScheduleDeleted(schedule_id=schedule.id, agent_id=schedule.agent_id)]

    def result(self, _state: TenantState, _events: Sequence[Event]) -> None:  # type: ignore[override]
        return None


@record
class RunScheduleNow(_ScheduleCommand):
    """Fire a schedule now, also one that is paused or finished; its next occurrence stays."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    schedule_id: str
    occurrence: Occurrence

    def contents(self) -> Sequence[Content]:
        return (self.occurrence.content,)

    def reads(self) -> Reads:
        return (*_ScheduleCommand.reads(self), *self.occurrence.reads())

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        schedule = self._own(state)
        return self.occurrence.fire(
            *(state, context, schedule, context.now, schedule.next_at, 0), is_manual=True
        )


SCHEDULE_COMMANDS = (
    CreateSchedule,
    FireSchedule,
    SettleSchedule,
    PauseSchedule,
    ResumeSchedule,
    DeleteSchedule,
    RunScheduleNow,
)
