"""From the log to NATS: notifications to those whom they concern, and a copy of every event.

Only committed rows are read, in order, so there is no notification of what did not happen. Nothing here
is ever waited for by a command: with NATS down, this is one task that sleeps, and the backlog is
the log itself.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import structlog

from quorate.bus.connection import Connect, Connection, keep_connected
from quorate.bus.outbox.jetstream_mirror import FOLLOWING, Mirror
from quorate.bus.outbox.jetstream_stream import StreamState
from quorate.bus.outbox.log_tail import CommittedLog, LogTail
from quorate.bus.outbox.notification_publisher import (
    Audience,
    CommitListener,
    NotificationPublisher,
    PublishListener,
)
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable

NOTIFICATION_AGE_SECONDS_MAX = 3_600
LOOK_SECONDS = 0.01

log = structlog.get_logger(__name__)


def _nothing(_row: RecordedEvent) -> None: ...


class Relay:
    """``witness`` sees every row once its turn has come, at least once; ``said`` those that were
    said to somebody, with how often and since when (in ns, by the wall).
    """

    def __init__(
        self,
        connect: Connect,
        committed: CommittedLog,
        audience: Audience,
        *,
        commit_listener: CommitListener = _nothing,
        clock: Callable[[], float] = time.time,
        stream_replicas: int = 1,
        on_published: PublishListener | None = None,
    ) -> None:
        self._connect = connect
        self._tail = LogTail(committed)
        self._announcer = NotificationPublisher(self._tail, audience, commit_listener, on_published)
        self._mirror = Mirror(
            self._tail, lambda: self._announcer.position, replicas=stream_replicas
        )
        self._started_at = Timestamp(int(clock() * MILLISECONDS_PER_SECOND))
        self._connected = False
        self.ready = asyncio.Event()

    def wake(self, rows: Sequence[RecordedEvent] = ()) -> None:
        """Something was committed: ``rows``, if given, are all that was."""
        self._tail.wake(rows)

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._session, name="quorate-relay")

    async def lag(self) -> int:
        """How many committed events were not yet said, or not yet copied while copying works."""
        head = await self._tail.log.committed_head()
        return max(0, head - self._done())

    def lag_at(self, head: int) -> int | None:
        """The lag, for a head that is known; None while nobody knows where to begin."""
        return max(0, head - self._done()) if self._announcer.begun else None

    async def drain(self, seconds_max: float) -> bool:
        """Wait until all that is committed by now was said and copied; False if it was not, or
        nobody can tell.
        """
        with suppress(TimeoutError, DatabaseUnavailable):
            async with asyncio.timeout(seconds_max):
                head = await self._tail.log.committed_head()
                while True:
                    if self._done() >= head:
                        return True
                    await asyncio.sleep(LOOK_SECONDS)
        return False

    def _done(self) -> int:
        """Up to here everything was said, and copied unless there is nothing to copy to."""
        copied = self._mirror.position if self._mirror.state == FOLLOWING else sys.maxsize
        return min(self._announcer.position, copied)

    def status(self) -> Mapping[str, Any]:
        return {
            "connected": self._connected,
            "announced": self._announcer.position,
            "mirrored": self._mirror.position,
            "mirror": self._mirror.state,
        }

    async def _session(self, connection: Connection) -> None:
        found = _Found()
        published, copied = self._tail.follow(), self._tail.follow()
        self._connected = True
        self.ready.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._begin(found))
                tasks.create_task(self._announcer.run(connection, published, copied.nudge))
                tasks.create_task(self._mirror.run(connection, copied, found.tell))
        finally:
            self._connected = False
            published.leave()
            copied.leave()
            self._announcer.rewind(connection.heard_at)

    async def _begin(self, found: "_Found") -> None:
        """Notifications of a new process begin where the stream ends: what it holds was said before.

        A stream that can't tell (lost, foreign, or itself being filled again) would have us repeat
        history; then only what is younger than NOTIFICATION_AGE_SECONDS_MAX is said.
        """
        state = await found.wait()
        if self._announcer.begun:
            return
        last = state.last if state is not None else 0
        if state is None or last < state.filled_to:
            oldest = self._started_at - NOTIFICATION_AGE_SECONDS_MAX * MILLISECONDS_PER_SECOND
            last = max(last, await self._tail.last_before(Timestamp(oldest)))
        log.info("notifications_begin", position=last)
        self._announcer.begin(last)


class _Found:
    """The stream as it was first found in a session, as soon as somebody has looked."""

    def __init__(self) -> None:
        self._state: StreamState | None = None
        self._told = asyncio.Event()

    def tell(self, state: StreamState | None) -> None:
        if not self._told.is_set():
            self._state = state
            self._told.set()

    async def wait(self) -> StreamState | None:
        await self._told.wait()
        return self._state
