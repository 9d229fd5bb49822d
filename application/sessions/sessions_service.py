"""What handlers of sessions, tasks and presets need besides the service."""

from quorate.domain.identity.api_keys import PresetNotFound
from quorate.domain.sessions.tasks import RETENTION_SECONDS_DEFAULT
from quorate.domain.shared.records import record
from quorate.eventlog.contents import ContentReader
from quorate.projections.sessions.list_queries import ListQueries
from quorate.projections.sessions.preset_queries import PresetQueries
from quorate.projections.sessions.schedules import ScheduleQueries
from quorate.projections.sessions.session_queries import SessionQueries
from quorate.projections.sessions.session_search import SessionSearch
from quorate.projections.sessions.session_summaries import SessionSummaries
from quorate.projections.sessions.task_queries import TaskQueries


@record
class SessionsService:
    presets: PresetQueries
    lists: ListQueries
    schedules: ScheduleQueries
    sessions: SessionQueries
    search: SessionSearch
    summaries: SessionSummaries
    tasks: TaskQueries
    task_contents: ContentReader
    task_retention_seconds: int = RETENTION_SECONDS_DEFAULT

    async def check_preset(self, tenant: str, name: str) -> None:
        """Raise PresetNotFound: a key for a preset that is misspelt would permit nothing."""
        if (await self.presets.get(tenant, name)).found is None:
            raise PresetNotFound(name)
