"""Build the tasks that only the leader runs."""

from prometheus_client import CollectorRegistry

from quorate.application.mail.outbound import CommitSignal
from quorate.bus.service import NatsService
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.ids import Uuid7
from quorate.projections.agent_overviews import AgentOverviews
from quorate.projections.deadlines import DueAggregates
from quorate.projections.sessions.schedules import ScheduleQueries
from quorate.runtime.clock import MonotonicClock
from quorate.server.agent_tasks import AgentRetention
from quorate.server.commit_followers import CommitFollowers
from quorate.server.deadline_scheduler import DeadlineScheduler
from quorate.server.leader_election import LeaderTasks
from quorate.server.mail import create_mail_tasks
from quorate.server.options import Options
from quorate.server.schedule_runner import ScheduleRunner


def create_leader_tasks(  # noqa: PLR0917 - the parts that the tasks use.
    log: EventStore,
    options: Options,
    clock: MonotonicClock,
    new_id: Uuid7,
    command_bus: CommandBus,
    nats_service: NatsService,
    signal: CommitSignal,
    followers: CommitFollowers,
    registry: CollectorRegistry,
) -> LeaderTasks:
    scheduler = DeadlineScheduler(command_bus, DueAggregates(log), clock, new_id)
    retention = AgentRetention(
        *(command_bus, AgentOverviews(log), clock, new_id),
        retention_hours=options.agent_retention_hours,
    )
    schedules = ScheduleRunner(
        *(command_bus, ScheduleQueries(log, clock), clock, new_id),
        task_retention_seconds=options.task_retention_seconds,
    )
    tasks = {
        "outbox_relay": nats_service.lead,
        "deadline_scheduler": scheduler.run,
        "schedule_runner": schedules.run,
        "agent_retention": retention.run,
        **followers.tasks,
        **create_mail_tasks(log, options, command_bus, clock, new_id, signal, registry),
    }
    return LeaderTasks(log.database, tasks)
