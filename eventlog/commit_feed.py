"""Deliver committed events of all processes to the listeners of this process.

* Each event is delivered once, in order and without gaps, from the start of this process.
* Rows of this process's own commits are passed on directly. When commits of other processes lie
  between, the rows are read from the log.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog

from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.waking import is_woken_within

ROWS_MAX = 500
POLL_SECONDS = 1.0  # A commit notification can get lost, so the log is also polled.
_logger = structlog.get_logger(__name__)


class CommitFeed:
    def __init__(
        self,
        log: EventStore,
        on_committed: Callable[[Sequence[RecordedEvent]], None],
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_start`` is called once: commits before this moment are not delivered."""
        self._log = log
        self._database: Database = log.database
        self._on_committed = on_committed
        self._on_start = on_start
        self._position: int | None = None  # Everything up to here was delivered.
        self._woken = asyncio.Event()
        self._checked_at = time.monotonic()

    @property
    def head(self) -> int:
        """The last delivered position."""
        return self._position or 0

    @property
    def notification_age_seconds(self) -> float:
        """Seconds since the log was last checked for commits of other processes."""
        return time.monotonic() - self._checked_at

    def record_commit(self, rows: Sequence[RecordedEvent]) -> None:
        """Deliver rows that this process just committed, and notify the other processes."""
        self._database.notify_commit()
        if self._position is None or rows[0].position > self._position + 1:
            self._woken.set()  # Commits of other processes come first.
        else:
            self._deliver(rows)

    async def run(self) -> NoReturn:
        """Deliver commits of all processes until cancelled."""
        listening = asyncio.create_task(self._database.listen(self._woken.set), name="commits")
        try:
            while True:
                try:
                    await self._catch_up()
                except DatabaseUnavailable as error:
                    _logger.warning("commit_notifications.failed", error=str(error))
                await is_woken_within(self._woken, POLL_SECONDS)
                self._woken.clear()
        finally:
            listening.cancel()

    async def _catch_up(self) -> None:
        if self._position is None:
            self._position = await self._log.committed_head()
            self._on_start()
        if await self._log.committed_head() != self._position:
            while rows := await self._log.after(self._position, ROWS_MAX):
                self._deliver(rows)
        self._checked_at = time.monotonic()

    def _deliver(self, rows: Sequence[RecordedEvent]) -> None:
        """Deliver new rows; own commits may have been delivered while the page was read."""
        assert self._position is not None
        new = [row for row in rows if row.position > (self._position or 0)]
        if new:
            self._position = new[-1].position
            self._on_committed(new)
