"""The end of the log, read once for everyone who follows it.

Rows come in the order of their positions with none left out, and only when they are committed.
What a writer offers right after its commit need not be read again; whoever is further behind
reads from the log. Who has read all that was offered waits for more, and does not ask the log
whether there is any, unless nothing came for long. However far behind, a follower holds ROWS_MAX
rows at most.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent

ROWS_MAX = 256
KEPT_ROWS_MAX = 1_024
# Other processes append to the same log without waking us.
LOOK_SECONDS = 1.0


class CommittedLog(Protocol):
    async def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Committed rows that follow ``position``, in order."""
        ...

    async def committed_head(self) -> int:
        """The last committed position; 0 when there is none."""
        ...

    async def archived(self) -> int:
        """Up to this position rows may be left out: they were archived. 0 when none were."""
        ...


class LogTail:
    """What the followers of a log share."""

    def __init__(self, log: CommittedLog) -> None:
        self.log = log
        self._kept: Sequence[RecordedEvent] = ()
        self._end: int | None = None  # Whoever appends has told of nothing that follows.
        self._reading = asyncio.Lock()
        self._followers: set[asyncio.Event] = set()

    def wake(self, rows: Sequence[RecordedEvent] = ()) -> None:
        """Something was committed; ``rows``, if given, are what, and all that was."""
        self._end = rows[-1].position if rows else None
        if rows:
            self._keep(rows)
        for follower in self._followers:
            follower.set()

    async def after(self, position: int) -> Sequence[RecordedEvent]:
        """Up to ROWS_MAX rows that follow ``position``; empty at the end."""
        if position == self._end:
            return ()
        async with self._reading:
            if not (rows := self._kept_after(position)):
                rows = await self.log.after(position, ROWS_MAX)
                if rows:
                    self._kept = rows
            return rows

    def follow(self) -> "Follower":
        return Follower(self._followers, self._doubt)

    async def last_before(self, at: Timestamp) -> int:
        """The last position whose event is older than ``at``: time never decreases in a log.

        Where positions are left out, the next one that is there answers for them.
        """
        known, end = 0, await self.log.committed_head()
        while known < end:
            middle = (known + end + 1) // 2
            (row,) = await self.log.after(middle - 1, 1)
            if row.at < at:
                known = middle
            else:
                end = middle - 1
        return known

    def _doubt(self) -> None:
        self._end = None

    def _keep(self, rows: Sequence[RecordedEvent]) -> None:
        follows = self._kept and self._kept[-1].position + 1 == rows[0].position
        together = [*self._kept, *rows] if follows else rows
        self._kept = together[-KEPT_ROWS_MAX:]

    def _kept_after(self, position: int) -> Sequence[RecordedEvent]:
        """Those that follow at once, if they are kept. Where rows before them were archived, others
        stand in the place where they should be: then nothing is known here.
        """
        if not self._kept:
            return ()
        skipped = position + 1 - self._kept[0].position
        found = self._kept[skipped : skipped + ROWS_MAX] if skipped >= 0 else ()
        return found if found and found[0].position == position + 1 else ()


class Follower:
    """Waits for more; what happens between two waits is not missed."""

    def __init__(self, followers: set[asyncio.Event], doubt: Callable[[], None]) -> None:
        """``doubt`` is called when nothing came: the log itself has to be asked."""
        self._followers = followers
        self._doubt = doubt
        self._more = asyncio.Event()
        followers.add(self._more)

    def nudge(self) -> None:
        self._more.set()

    async def more(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._more.wait()
        except TimeoutError:
            self._doubt()
        self._more.clear()

    def leave(self) -> None:
        self._followers.discard(self._more)
