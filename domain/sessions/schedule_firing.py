"""Fire the occurrences of schedules: what is due, what is missed, and what follows from each.

* A turn for a session of the creator itself has no sender: its owner is to be notified of it.
* Nothing fires in a paused tenant. What is due then is late when the tenant is unpaused, as it is
  after an outage.
"""

from collections.abc import Sequence

from quorate.domain.identity.agents import AGENTS, Agent
from quorate.domain.identity.tenants import paused_at
from quorate.domain.sessions.policies import Access
from quorate.domain.sessions.schedules import (
    CAUGHT_UP_MAX,
    MISSED_AFTER_SECONDS,
    SCHEDULE_TOOL,
    SCHEDULES,
    Event,
    Schedule,
    ScheduleAgentRemoved,
    ScheduleFired,
    SchedulePaused,
    ScheduleSkipped,
)
from quorate.domain.sessions.session_messages import MESSAGE_BYTES, append_message
from quorate.domain.sessions.sessions import reads_of_session, visible_session
from quorate.domain.sessions.task_submission import SPAWN_TOOL, TaskRequest, submit_task
from quorate.domain.sessions.tasks import RETENTION_SECONDS_DEFAULT
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp


def reads_of_target(preset: str | None, session_key: str | None) -> Reads:
    if preset is not None:
        return TaskRequest(task_id="", preset=preset).reads()
    assert session_key is not None
    return (*reads_of_session(session_key), quotas.COUNTS)


def check_session(access: Access, key: str, owner_id: str) -> None:
    access.check_tool(SCHEDULE_TOOL)
    access.check_visible(key, owner_id)
    access.check_send()


def check_task(access: Access) -> None:
    access.check_tool(SCHEDULE_TOOL)
    access.check_tool(SPAWN_TOOL)


@record
class Occurrence:
    """What an occurrence needs besides the state: ids and the body that it sends.

    ``schedule`` is as it was read before; what it names never changes. The content has the id of
    the message, or of the task.
    """

    schedule: Schedule
    content: Content
    task_retention_seconds: int = RETENTION_SECONDS_DEFAULT

    def reads(self) -> Reads:
        schedule = self.schedule
        return (
            *SCHEDULES.by("id", schedule.id),
            *AGENTS.by("id", schedule.agent_id),
            *schedule.restrictions.reads(),
            *reads_of_target(schedule.preset, schedule.session_key),
            *([(f"{quotas.OPEN_TASK_COUNT}.id", schedule.agent_id)] if schedule.preset else ()),
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
            check_task(access)
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
            task_id=self.content.id,
            preset=schedule.preset,
            controls=schedule.controls,
            retention_seconds=self.task_retention_seconds,
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
    if paused_at(state) is not None:
        return []
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


def paused(schedule: Schedule, reason: str, detail: str | None = None) -> SchedulePaused:
    return SchedulePaused(
        schedule_id=schedule.id, agent_id=schedule.agent_id, reason=reason, detail=detail
    )
