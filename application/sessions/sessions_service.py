"""What handlers of sessions, tasks and presets need besides the service."""

from quorate.domain.sessions.presets import PresetNotFound
from quorate.domain.shared.records import record
from quorate.projections.sessions.list_queries import ListQueries
from quorate.projections.sessions.preset_queries import PresetQueries
from quorate.projections.sessions.schedules import ScheduleQueries


@record
class SessionsService:
    presets: PresetQueries
    lists: ListQueries
    schedules: ScheduleQueries

    async def check_preset(self, tenant: str, name: str) -> None:
        """Raise PresetNotFound: a key for a preset that is misspelt would permit nothing."""
        if (await self.presets.get(tenant, name)).found is None:
            raise PresetNotFound(name)
