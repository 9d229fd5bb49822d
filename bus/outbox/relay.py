"""Outbox relay: publish notifications to NATS and mirror every event to JetStream.

* The relay reads committed events in order. It never publishes an event that was not committed.
* No command ever waits for the relay. While NATS is down, the relay is one sleeping task, and the
  log itself is the backlog.
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
    AddBodies,
    Audience,
    CommitListener,
    NotificationPublisher,
    PublishListener,
)
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable

NOTIFICATION_AGE_SECONDS_MAX = 3_600
POLL_SECONDS = 0.01

log = structlog.get_logger(__name__)


def _ignore(_row: RecordedEvent) -> None: ...


class Relay:
    """Runs the notification publisher and the mirror on one connection.

    ``commit_listener`` gets every row in order, at least once. ``on_published`` gets each row with
    notifications, their number, and when their publication began (wall clock, in nanoseconds).
    ``add_bodies`` adds the bodies of messages to their events.
    """

    def __init__(
        self,
        connect: Connect,
        committed: CommittedLog,
        audience: Audience,
        *,
        commit_listener: CommitListener = _ignore,
        clock: Callable[[], float] = time.time,
        stream_replicas: int = 1,
        on_published: PublishListener | None = None,
        add_bodies: AddBodies | None = None,
    ) -> None:
        self._connect = connect
        self._tail = LogTail(committed)
        self._publisher = NotificationPublisher(
            self._tail, audience, commit_listener, on_published, add_bodies
        )
        self._mirror = Mirror(
            self._tail, lambda: self._publisher.position, replicas=stream_replicas
        )
        self._started_at = Timestamp(int(clock() * MILLISECONDS_PER_SECOND))
        self._connected = False
        self.ready = asyncio.Event()

    def wake(self, rows: Sequence[RecordedEvent] = ()) -> None:
        """Report a commit; ``rows``, if given, are all its events."""
        self._tail.wake(rows)

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._handle_connection, name="quorate-relay")

    async def lag(self) -> int:
        """Return how many committed events are not relayed yet (see ``_relayed_position``)."""
        head = await self._tail.log.committed_head()
        return max(0, head - self._relayed_position())

    def lag_at(self, head: int) -> int | None:
        """Return the lag for a known head; None until the start position is known."""
        return max(0, head - self._relayed_position()) if self._publisher.has_started else None

    async def drain(self, seconds_max: float) -> bool:
        """Wait until all events committed by now are published and mirrored.

        Returns False after ``seconds_max``, or when the database is unavailable.
        """
        with suppress(TimeoutError, DatabaseUnavailable):
            async with asyncio.timeout(seconds_max):
                head = await self._tail.log.committed_head()
                while True:
                    if self._relayed_position() >= head:
                        return True
                    await asyncio.sleep(POLL_SECONDS)
        return False

    def _relayed_position(self) -> int:
        """Return the position up to which events are published, and mirrored if mirroring works."""
        mirrored = self._mirror.position if self._mirror.state == FOLLOWING else sys.maxsize
        return min(self._publisher.position, mirrored)

    def status(self) -> Mapping[str, Any]:
        return {
            "connected": self._connected,
            "published": self._publisher.position,
            "mirrored": self._mirror.position,
            "mirror": self._mirror.state,
        }

    async def _handle_connection(self, connection: Connection) -> None:
        stream_at_start = _StreamAtStart()
        for_publisher, for_mirror = self._tail.follow(), self._tail.follow()
        self._connected = True
        self.ready.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._start_publisher(stream_at_start))
                tasks.create_task(self._publisher.run(connection, for_publisher, for_mirror.wake))
                tasks.create_task(self._mirror.run(connection, for_mirror, stream_at_start.set))
        finally:
            self._connected = False
            for_publisher.close()
            for_mirror.close()
            self._publisher.rewind(connection.last_active_at)

    async def _start_publisher(self, stream_at_start: "_StreamAtStart") -> None:
        """Start a new process's publisher where the stream ends.

        An event is mirrored only after its notifications are published, so those of mirrored events
        are not published again. A stream that is missing, of another log, or being backfilled gives
        no such position. Then only events younger than NOTIFICATION_AGE_SECONDS_MAX are published.
        """
        state = await stream_at_start.wait()
        if self._publisher.has_started:
            return
        last = state.last if state is not None else 0
        if state is None or last < state.filled_to:
            oldest = self._started_at - NOTIFICATION_AGE_SECONDS_MAX * MILLISECONDS_PER_SECOND
            last = max(last, await self._tail.last_before(Timestamp(oldest)))
        log.info("relay.started", position=last)
        self._publisher.start(last)


class _StreamAtStart:
    """The state in which the mirror first finds the stream on a connection."""

    def __init__(self) -> None:
        self._state: StreamState | None = None
        self._is_set = asyncio.Event()

    def set(self, state: StreamState | None) -> None:
        """Keep the first state; later calls change nothing."""
        if not self._is_set.is_set():
            self._state = state
            self._is_set.set()

    async def wait(self) -> StreamState | None:
        await self._is_set.wait()
        return self._state
