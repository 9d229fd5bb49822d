"""Erase the bodies of deleted sessions, and delete the sessions of removed agents.

* A deleted session is unknown at once, however many messages it has. This task of the leader then
  erases its bodies in small commands, one after the other, so commands of callers run in between.
* The sessions of an agent whose name was removed are unknown as well. They are found by a search
  through all sessions, every CHECK_SECONDS.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from quorate.application.system_commands import SystemCommands
from quorate.domain.identity.agent_departures import AgentRemoved
from quorate.domain.sessions.sessions import SessionDeleted
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandFailed, Unavailable
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.sessions.unerased_sessions import Erasure, UnerasedSessions
from quorate.runtime.waking import is_woken_within

CHECK_SECONDS = 60.0
_EVENTS = frozenset({AgentRemoved.__name__, SessionDeleted.__name__})
_logger = structlog.get_logger(__name__)


class SessionErasure:
    def __init__(
        self,
        command_bus: CommandBus,
        sessions: UnerasedSessions,
        clock: Callable[[], Timestamp],
        new_id: NewId,
    ) -> None:
        self._system = SystemCommands(command_bus, clock, new_id)
        self._sessions = sessions
        self._woken = asyncio.Event()

    def wake(self, rows: Sequence[RecordedEvent]) -> None:
        """Be told of committed events."""
        if not self._woken.is_set() and any(row.type in _EVENTS for row in rows):
            self._woken.set()

    async def run(self) -> None:
        """Erase until cancelled."""
        while True:
            self._woken.clear()
            try:
                while await self.erase_some():
                    pass
            except (Unavailable, CommandFailed, DatabaseUnavailable) as error:
                _logger.warning("session_erasure.paused", reason=str(error))
            await is_woken_within(self._woken, CHECK_SECONDS)

    async def erase_some(self) -> bool:
        """Delete and erase some; return whether there may be more."""
        orphaned = await self._sessions.find_orphaned()
        await self._submit(orphaned)
        found = await self._sessions.find_deleted()
        await self._submit(found)
        return bool(orphaned or found)

    async def _submit(self, found: Sequence[Erasure]) -> None:
        for one in found:
            await self._system.submit(one.tenant, one.command)
