"""Keep the history of the read models up to date, in the background of the process that leads.

* The writer stores a part between two batches of commands. A part has at most EVENTS_PER_PART
  events, so commands wait for it for a few milliseconds at most.
* While commands arrive, the follower rests after each part RESTS times as long as the part took,
  so it takes a small share of the processor, and the history may lag behind. It catches up
  afterwards. Requests of a moment that it has not reached wait, or are answered with 503.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import NoReturn

import structlog

from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseTransaction, DatabaseUnavailable
from quorate.projections.history.folding import HistoryFolder, HistoryIncomplete, Part
from quorate.projections.history.refill import Refill
from quorate.runtime.waking import is_woken_within

EVENTS_PER_PART = 100
GATHER_SECONDS = 0.1
CHECK_SECONDS = 10.0  # A rebuild by another process is noticed after this time.
RESTS = 4.0
_logger = structlog.get_logger(__name__)


class HistoryFollower:
    def __init__(self, command_bus: CommandBus, folder: HistoryFolder, refill: Refill) -> None:
        self._command_bus = command_bus
        self._folder = folder
        self._refill = refill
        self._woken = asyncio.Event()
        self._commits = 0  # Since the last part.
        self._is_running = False

    def wake(self, _rows: Sequence[RecordedEvent]) -> None:
        """Be told of committed events."""
        self._commits += 1
        self._woken.set()

    def lag(self, head: int) -> int | None:
        """Return how many events up to ``head`` the history lacks; None if it does not follow."""
        return max(0, head - self._folder.position) if self._is_running else None

    async def run(self) -> None:
        """Follow the log until cancelled. It raises for a damaged log or history."""
        self._is_running = True
        try:
            await self._follow()
        finally:
            self._is_running = False

    async def _follow(self) -> NoReturn:
        while True:
            self._woken.clear()
            try:
                while await self.follow_some():
                    pass
            except (Unavailable, DatabaseUnavailable) as error:
                _logger.warning("history_follower.paused", reason=str(error))
            if await is_woken_within(self._woken, CHECK_SECONDS):
                await asyncio.sleep(GATHER_SECONDS)

    async def follow_some(self) -> bool:
        """Fold and store a part of the log; return whether there may be more."""
        began, self._commits = time.perf_counter(), 0
        try:
            part = await self._folder.read_part(EVENTS_PER_PART)
        except HistoryIncomplete:
            _logger.warning("history_follower.began_again")
            await self._command_bus.run_chore(self._refill.run)
            return True
        if part is None:
            return False
        worked = time.perf_counter() - began
        worked += await self._store(part)
        if self._commits:
            await asyncio.sleep(RESTS * worked)
        return True

    async def _store(self, part: Part) -> float:
        """Store a part, unless another process has; return the seconds without waiting."""
        worked = 0.0

        async def store(transaction: DatabaseTransaction) -> None:
            nonlocal worked
            began = time.perf_counter()
            await self._folder.store(transaction, part)
            worked = time.perf_counter() - began

        await self._command_bus.run_chore(store)
        self._folder.position = part.until
        return worked
