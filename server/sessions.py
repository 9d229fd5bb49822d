"""Build what sessions, tasks and presets need."""

from collections.abc import Callable

from quorate.application.sessions.sessions_service import SessionsService
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.projections.sessions.list_queries import ListQueries
from quorate.projections.sessions.preset_queries import PresetQueries
from quorate.projections.sessions.schedules import ScheduleQueries


def create_sessions_service(log: EventStore, clock: Callable[[], Timestamp]) -> SessionsService:
    return SessionsService(
        presets=PresetQueries(log, clock),
        lists=ListQueries(log, clock),
        schedules=ScheduleQueries(log, clock),
    )
