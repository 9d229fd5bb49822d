"""Read the end of the log once for all its followers.

* Rows arrive committed, in the order of their positions and without gaps.
* The writer passes on the rows of its commit, so they need not be read again. A follower that is
  further behind reads from the log.
* A follower that has read everything waits for the next commit. It queries the log only when none
  was reported for POLL_SECONDS.
* A follower holds at most ROWS_MAX rows, however far behind it is.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.runtime.waking import is_woken_within

ROWS_MAX = 256
CACHED_ROWS_MAX = 1_024
# Other processes append to the same log and do not wake this one.
POLL_SECONDS = 1.0


class CommittedLog(Protocol):
    async def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return committed rows that follow ``position``, in order."""
        ...

    async def committed_head(self) -> int:
        """Return the last committed position; 0 when there is none."""
        ...

    async def archived(self) -> int:
        """Return the last archived position; rows up to it may be missing. 0 without an archive."""
        ...


class LogTail:
    """The cached end of the log, shared by its followers."""

    def __init__(self, log: CommittedLog) -> None:
        self.log = log
        self._cached: Sequence[RecordedEvent] = ()
        self._end: int | None = None  # The last reported position; None when it is unknown.
        self._reading = asyncio.Lock()
        self._followers: set[asyncio.Event] = set()

    def wake(self, rows: Sequence[RecordedEvent] = ()) -> None:
        """Report a commit; ``rows``, if given, are all its events."""
        self._end = rows[-1].position if rows else None
        if rows:
            self._cache(rows)
        for follower in self._followers:
            follower.set()

    async def after(self, position: int) -> Sequence[RecordedEvent]:
        """Return up to ROWS_MAX rows that follow ``position``; none at the end."""
        if position == self._end:
            return ()
        async with self._reading:
            if not (rows := self._cached_after(position)):
                rows = await self.log.after(position, ROWS_MAX)
                if rows:
                    self._cached = rows
            return rows

    def follow(self) -> "Follower":
        return Follower(self._followers, self._forget_end)

    async def last_before(self, at: Timestamp) -> int:
        """Return the last position whose event is older than ``at``, by binary search.

        Time never decreases in a log. For an archived position the next existing one is used.
        """
        low, high = 0, await self.log.committed_head()
        while low < high:
            middle = (low + high + 1) // 2
            (row,) = await self.log.after(middle - 1, 1)
            if row.at < at:
                low = middle
            else:
                high = middle - 1
        return low

    def _forget_end(self) -> None:
        self._end = None

    def _cache(self, rows: Sequence[RecordedEvent]) -> None:
        follows = self._cached and self._cached[-1].position + 1 == rows[0].position
        together = [*self._cached, *rows] if follows else rows
        self._cached = together[-CACHED_ROWS_MAX:]

    def _cached_after(self, position: int) -> Sequence[RecordedEvent]:
        """Return the cached rows that directly follow ``position``, if any.

        When earlier rows were archived, the index in the cache may point to a later row; then none
        are returned.
        """
        if not self._cached:
            return ()
        skipped = position + 1 - self._cached[0].position
        found = self._cached[skipped : skipped + ROWS_MAX] if skipped >= 0 else ()
        return found if found and found[0].position == position + 1 else ()


class Follower:
    """Waits for commits; a commit between two waits is not missed."""

    def __init__(self, followers: set[asyncio.Event], on_timeout: Callable[[], None]) -> None:
        """``on_timeout`` is called when no commit was reported: the log must be queried."""
        self._followers = followers
        self._on_timeout = on_timeout
        self._woken = asyncio.Event()
        followers.add(self._woken)

    def wake(self) -> None:
        self._woken.set()

    async def wait(self) -> None:
        """Return after the next commit, a call of ``wake``, or POLL_SECONDS."""
        if not await is_woken_within(self._woken, POLL_SECONDS):
            self._on_timeout()
        self._woken.clear()

    def close(self) -> None:
        self._followers.discard(self._woken)
