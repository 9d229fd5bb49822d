"""Fire the schedules that are due: the leader looks for them, the log decides.

The runner keeps nothing: what it submits names a schedule and brings the body to send. The command
fires at most one occurrence, and nothing if another process has fired it meanwhile.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from quorate.application.sessions.occurrences import make_occurrence
from quorate.application.system_commands import SystemCommands
from quorate.domain.sessions.schedule_firing import FireSchedule, SettleSchedule
from quorate.domain.sessions.schedules import Schedule
from quorate.domain.sessions.tasks import RETENTION_SECONDS_DEFAULT
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import Accepted, CommandFailed, Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.sessions.schedules import ScheduleQueries

TICK_SECONDS = 1.0
_logger = structlog.get_logger(__name__)


class ScheduleRunner:
    def __init__(
        self,
        command_bus: CommandBus,
        schedules: ScheduleQueries,
        clock: Callable[[], Timestamp],
        new_id: NewId,
        *,
        task_retention_seconds: int = RETENTION_SECONDS_DEFAULT,
    ) -> None:
        self._system = SystemCommands(command_bus, clock, new_id)
        self._schedules = schedules
        self._clock = clock
        self._new_id = new_id
        self._task_retention_seconds = task_retention_seconds
        self._is_paused = False

    async def run(self) -> NoReturn:
        """Fire what is due until cancelled. The clock's minute does not matter, so it polls."""
        while True:
            if not await self.fire_due():
                await asyncio.sleep(TICK_SECONDS)

    async def fire_due(self) -> bool:
        """Fire one occurrence of each schedule that is due; return whether more may be due."""
        try:
            due = await self._schedules.due(self._clock())
            fired = [await self._fire(tenant, schedule) for tenant, schedule in due]
        except (Unavailable, CommandFailed, DatabaseUnavailable) as error:
            if not self._is_paused:  # Logged once per outage.
                _logger.warning("schedule_runner.paused", reason=str(error))
            self._is_paused = True
            return False
        self._is_paused = False
        return any(fired)

    async def _fire(self, tenant: str, schedule: Schedule) -> bool:
        messages = await self._schedules.messages(tenant, [schedule.id])
        message = messages.get(schedule.id)
        if message is None:  # It was deleted meanwhile.
            return False
        new_id = self._new_id(self._clock())
        occurrence = make_occurrence(schedule, message, new_id, self._task_retention_seconds)
        if await self._submit(tenant, FireSchedule(occurrence=occurrence)):
            return True
        return await self._submit(tenant, SettleSchedule(occurrence=occurrence))

    async def _submit(self, tenant: str, command: FireSchedule | SettleSchedule) -> bool:
        """Submit a command; return whether it recorded anything."""
        result = await self._system.submit(
            tenant, command, lambda recorded: b"1" if recorded else b""
        )
        return isinstance(result, Accepted) and bool(result.body)
