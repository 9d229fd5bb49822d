"""Check the log in the background; a damaged log is served read-only."""

import asyncio
import time
from typing import NoReturn

import structlog

from quorate.eventlog.command_bus import FILES_REPLACED, CommandBus
from quorate.eventlog.database import Database, FilesReplaced
from quorate.eventlog.event_store import EventStore, LogCorrupted
from quorate.eventlog.transactions import DatabaseUnavailable

CHECK_PAUSE_SECONDS = 0.05  # The pause after each page of the background verification.
FILES_SECONDS = 0.5
_logger = structlog.get_logger(__name__)


async def watch_files(database: Database, command_bus: CommandBus) -> NoReturn:
    """Make the log read-only when its files are no longer those that are open."""
    while True:
        await asyncio.sleep(FILES_SECONDS)
        try:
            await database.verify_files()
        except FilesReplaced as loss:
            if not command_bus.damage:
                command_bus.stop_writing(str(loss), FILES_REPLACED)


async def verify_tail(log: EventStore, command_bus: CommandBus) -> None:
    """Verify the end of the log; if it is corrupted, serve it read-only."""
    try:
        await log.verify_tail()
    except LogCorrupted as error:
        command_bus.stop_writing(str(error))


class LogVerification:
    """Verifies the log slowly, once after the start of the process.

    * ``events``: how many events have been verified since then.
    * ``ended_at_seconds``: the Unix time when all were verified; 0 before, and if it failed.
    """

    def __init__(self, log: EventStore, command_bus: CommandBus) -> None:
        self.events = 0
        self.ended_at_seconds = 0.0
        self._log = log
        self._command_bus = command_bus

    async def run(self) -> None:
        """Verify the log; if it is corrupted, serve it read-only."""
        if self._command_bus.damage:
            return  # The log is known to be corrupted.
        head = await self._log.committed_head()
        try:
            await self._log.verify_range(
                0, head, pause_seconds=CHECK_PAUSE_SECONDS, progress=self._count
            )
        except LogCorrupted as error:
            self._command_bus.stop_writing(str(error))
        except DatabaseUnavailable:
            _logger.warning("log.not_verified", exc_info=True)
        else:
            self.ended_at_seconds = time.time()

    def _count(self, events: int) -> None:
        self.events += events
