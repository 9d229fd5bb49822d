"""The commands of ``schedule``: create, pause, resume, delete schedules, and run one now.

An operator pauses and resumes any schedule, with the reason. Its creator may resume it as well.
"""

from collections.abc import Sequence

from quorate.domain.identity.agents import AGENTS, AgentRef, acting, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.schedule_firing import (
    FireSchedule,
    Occurrence,
    SettleSchedule,
    check_session,
    check_task,
    paused,
    reads_of_target,
)
from quorate.domain.sessions.schedule_times import ScheduleInvalid, ScheduleTimes
from quorate.domain.sessions.schedules import (
    SCHEDULE_TOOL,
    SCHEDULES,
    SCHEDULES_PER_TENANT_MAX,
    Event,
    Missed,
    Schedule,
    ScheduleCreated,
    ScheduleDeleted,
    ScheduleNotFound,
    ScheduleResumed,
    TooManySchedules,
)
from quorate.domain.sessions.sessions import main_session_key, visible_session
from quorate.domain.sessions.tool_controls import ToolControls
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState

REQUESTED, BY_OPERATOR = "requested", "operator"


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
        return (*found, *reads_of_target(self.preset, self.session_key))

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent = acting(self.caller, self.agent, state)
        access = self.restrictions.access(state, agent.id)
        session_key = self.session_key
        if self.preset is None and session_key is None:
            session_key = main_session_key(agent.name)
            check_session(access, session_key, agent.id)
        elif session_key is not None:
            access.check_tool(SCHEDULE_TOOL)
            visible_session(state, access, session_key)
            access.check_send()
        else:
            check_task(access)
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
        return resumed(self._own(state), context)


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


# -- Operators -----------------------------------------------------------------


class _AnySchedule:
    """A command of an operator on a schedule of any agent."""

    __slots__ = ()
    schedule_id: str

    def reads(self) -> Reads:
        return SCHEDULES.by("id", self.schedule_id)

    def _schedule(self, state: TenantState) -> Schedule:
        schedule = state[SCHEDULES].get(self.schedule_id)
        if schedule is None or schedule.is_deleted:
            raise ScheduleNotFound(self.schedule_id)
        return schedule

    def result(self, state: TenantState, _events: Sequence[Event]) -> Schedule:
        return state[SCHEDULES][self.schedule_id]


@record
class PauseAnySchedule(_AnySchedule):
    schedule_id: str
    detail: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        schedule = self._schedule(state)
        if schedule.status != "active":
            return []
        return [paused(schedule, BY_OPERATOR, self.detail)]


@record
class ResumeAnySchedule(_AnySchedule):
    schedule_id: str
    detail: str

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        return resumed(self._schedule(state), context, self.detail)


def resumed(
    schedule: Schedule, context: DecisionContext, detail: str | None = None
) -> Sequence[ScheduleResumed]:
    """Return nothing for a schedule that is not paused."""
    if schedule.status != "paused":
        return []
    return [
        ScheduleResumed(
            schedule_id=schedule.id,
            agent_id=schedule.agent_id,
            next_at=schedule.next_after(context.now),
            detail=detail,
        )
    ]


SCHEDULE_COMMANDS = (
    CreateSchedule,
    FireSchedule,
    SettleSchedule,
    PauseSchedule,
    ResumeSchedule,
    DeleteSchedule,
    RunScheduleNow,
    PauseAnySchedule,
    ResumeAnySchedule,
)
