"""Build what sessions, tasks and presets need."""

from collections.abc import Callable

from quorate.application.sessions.sessions_service import SessionsService
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import ContentReader
from quorate.eventlog.event_store import EventStore
from quorate.projections.sessions.list_queries import ListQueries
from quorate.projections.sessions.preset_queries import PresetQueries
from quorate.projections.sessions.schedules import ScheduleQueries
from quorate.projections.sessions.session_queries import SessionQueries
from quorate.projections.sessions.session_search import SessionSearch
from quorate.projections.sessions.session_summaries import SessionSummaries
from quorate.projections.sessions.task_queries import TaskQueries
from quorate.server.options import Options


def create_sessions_service(
    log: EventStore, options: Options, clock: Callable[[], Timestamp]
) -> SessionsService:
    return SessionsService(
        presets=PresetQueries(log, clock),
        sessions=SessionQueries(log, clock),
        search=SessionSearch(log, clock),
        summaries=SessionSummaries(log, clock),
        tasks=TaskQueries(log, clock),
        task_contents=ContentReader(log),
        lists=ListQueries(log, clock),
        schedules=ScheduleQueries(log, clock),
        task_retention_seconds=options.task_retention_seconds,
    )
