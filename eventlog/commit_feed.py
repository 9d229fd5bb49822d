"""What was committed, by whichever process, handed to those who wait for it here.

Each event once and in order from where this process began, with none left out. Our own commits
need not be read again as long as nobody else's lie between; all others are read from the log.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

import structlog

from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable

ROWS_MAX = 500
LOOK_SECONDS = 1.0  # A call can get lost; what it was about cannot.
_logger = structlog.get_logger(__name__)


class CommitFeed:
    def __init__(self, log: EventStore, heard: Callable[[Sequence[RecordedEvent]], None]) -> None:
        self._log = log
        self._database: Database = log.database
        self._heard = heard
        self._position: int | None = None  # Everything up to here was handed on.
        self._more = asyncio.Event()
        self._looked_at = time.monotonic()

    @property
    def head(self) -> int:
        """The last position that was heard of."""
        return self._position or 0

    @property
    def notification_age_seconds(self) -> float:
        """Since the log was last looked at for what others committed."""
        return time.monotonic() - self._looked_at

    def record_commit(self, rows: Sequence[RecordedEvent]) -> None:
        """By this process, just now."""
        self._database.notify_commit()
        if self._position is None or rows[0].position > self._position + 1:
            self._more.set()  # Somebody else's come first.
        else:
            self._hand_on(rows)

    async def run(self) -> NoReturn:
        """Ends by being cancelled."""
        listening = asyncio.create_task(self._database.listen(self._more.set), name="commits")
        try:
            while True:
                try:
                    await self._catch_up()
                except DatabaseUnavailable as error:
                    _logger.warning("commits.not_read", error=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._more.wait()
                self._more.clear()
        finally:
            listening.cancel()

    async def _catch_up(self) -> None:
        if self._position is None:
            self._position = await self._log.committed_head()
        if await self._log.committed_head() != self._position:
            while rows := await self._log.after(self._position, ROWS_MAX):
                self._hand_on(rows)
        self._looked_at = time.monotonic()

    def _hand_on(self, rows: Sequence[RecordedEvent]) -> None:
        """Those that are new: our own commits overtake a page that is just being read."""
        assert self._position is not None
        new = [row for row in rows if row.position > (self._position or 0)]
        if new:
            self._position = new[-1].position
            self._heard(new)
