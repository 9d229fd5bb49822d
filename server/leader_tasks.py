"""Build what only one process does: the tasks of the leader, and the checks of the log."""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry

from quorate.application.mail.outbound import CommitSignal
from quorate.bus.service import NatsService
from quorate.domain.shared.records import record
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.projections.agent_overviews import AgentOverviews
from quorate.projections.deadlines import DueAggregates
from quorate.projections.sessions.schedules import ScheduleQueries
from quorate.runtime.clock import MonotonicClock
from quorate.server.agent_tasks import AgentRetention
from quorate.server.command_flow import CommandFlow
from quorate.server.commit_followers import CommitFollowers, create_commit_followers
from quorate.server.deadline_scheduler import DeadlineScheduler
from quorate.server.leader_election import LeaderTasks, Task
from quorate.server.log_checks import LogVerification
from quorate.server.mail import create_mail_tasks
from quorate.server.options import Options
from quorate.server.schedule_runner import ScheduleRunner


@record
class Duties:
    """What this process does for all; None and nothing for what other processes do."""

    leader: LeaderTasks | None
    followers: CommitFollowers | None = None
    verification: LogVerification | None = None
    listeners: Sequence[Callable[[Sequence[RecordedEvent]], None]] = ()  # To commits.


def create_duties(  # noqa: PLR0917 - the parts that they use.
    log: EventStore,
    options: Options,
    clock: MonotonicClock,
    new_id: Uuid7,
    flow: CommandFlow,
    nats_service: NatsService,
    registry: CollectorRegistry,
) -> Duties:
    """Return the tasks of the leader and the checks of the log, as far as the role has them."""
    relay: dict[str, Task] = (
        {"outbox_relay": nats_service.lead} if options.role.serves_agents else {}
    )
    command_bus = flow.command_bus
    if command_bus is None:
        return Duties(leader=LeaderTasks(log.database, relay) if relay else None)
    signal = CommitSignal()
    followers = create_commit_followers(log, command_bus, clock, new_id)
    tasks = _tasks(log, options, clock, new_id, command_bus, signal, registry)
    return Duties(
        leader=LeaderTasks(log.database, {**relay, **tasks, **followers.tasks}),
        followers=followers,
        verification=LogVerification(log, command_bus),
        listeners=(signal.wake, followers.wake),
    )


def _tasks(  # noqa: PLR0917 - see above.
    log: EventStore,
    options: Options,
    clock: MonotonicClock,
    new_id: Uuid7,
    command_bus: CommandBus,
    signal: CommitSignal,
    registry: CollectorRegistry,
) -> Mapping[str, Task]:
    scheduler = DeadlineScheduler(command_bus, DueAggregates(log), clock, new_id)
    retention = AgentRetention(
        *(command_bus, AgentOverviews(log), clock, new_id),
        retention_hours=options.agent_retention_hours,
    )
    schedules = ScheduleRunner(
        *(command_bus, ScheduleQueries(log, clock), clock, new_id),
        task_retention_seconds=options.task_retention_seconds,
    )
    return {
        "deadline_scheduler": scheduler.run,
        "schedule_runner": schedules.run,
        "agent_retention": retention.run,
        **create_mail_tasks(log, options, command_bus, clock, new_id, signal, registry),
    }
