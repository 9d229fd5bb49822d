"""Keep the JetStream stream equal to the log: message N is the event at position N.

* The cursor is the stream's last sequence, which is read again after anything unexpected. There is
  no other state, so a second mirror, a restart and a lost acknowledgement are the same case.
* A stream that is missing or incomplete is created again and filled from the log.
* A stream with events that this log does not contain is left unchanged, and the mirror stops with
  an error. An administrator must decide (``quorate mirror reset``).
* A stream that ends before events that were archived since cannot be continued. It is left
  unchanged as well.
* An event is mirrored only after its notifications are published.
* An event that the server rejects permanently is replaced by a placeholder at its position.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog

from quorate.bus import cloudevents, subjects
from quorate.bus.connection import Connection, RequestTimeout
from quorate.bus.outbox.jetstream_stream import (
    MIRROR_EVENTS_MAX,
    STREAM,
    Entry,
    LogStream,
    StreamRejected,
    StreamState,
)
from quorate.bus.outbox.log_tail import Follower, LogTail
from quorate.bus.outbox.notification_publisher import HEADER_BYTES_MAX
from quorate.bus.subjects import SubjectInvalid
from quorate.eventlog.recorded_event import RecordedEvent

CHECK_SECONDS = 3.0
REOPEN_SECONDS = 0.05
ATTEMPTS_MAX = 3
BATCH_BYTES_MAX = 4 * 1024 * 1024

WAITING = "waiting"
FOLLOWING = "following"
STOPPED = "stopped"  # Needs an administrator.
UNAVAILABLE = "unavailable"

log = structlog.get_logger(__name__)


class StreamMismatch(Exception):
    """The stream has events that this log does not: a restored older log, or another service."""


class _StateOutdated(Exception):
    """The stream is not in the expected state: read the state again."""


class Mirror:
    """Appends published events to the stream.

    ``published`` returns the position up to which notifications are published. ``replicas`` is the
    number of servers of a cluster that store the stream; it is used when the stream is created.
    """

    def __init__(self, tail: LogTail, published: Callable[[], int], *, replicas: int = 1) -> None:
        self._tail = tail
        self._replicas = replicas
        self._published = published
        self._poison = _PoisonDetector()
        self._checked_at = 0.0
        self.position = 0  # The stream contains everything up to here.
        self.state = WAITING

    async def run(
        self,
        connection: Connection,
        follower: Follower,
        on_opened: Callable[[StreamState | None], None],
    ) -> NoReturn:
        """Mirror until cancelled.

        ``on_opened`` gets the state in which the stream was found. It gets None when the state does
        not tell which notifications are published.
        """
        stream = LogStream(connection)
        self._poison.resume(connection.server_id)
        while True:
            try:
                await self._open(stream, on_opened)
                await self._follow(stream, follower)
            except _StateOutdated:
                await asyncio.sleep(REOPEN_SECONDS)
            except (StreamMismatch, StreamRejected, RequestTimeout) as error:
                self._stop(error)
                on_opened(None)
                await asyncio.sleep(CHECK_SECONDS)

    def _stop(self, error: Exception) -> None:
        state = STOPPED if isinstance(error, StreamMismatch) else UNAVAILABLE
        if self.state != state:
            write = log.error if state == STOPPED else log.warning  # UNAVAILABLE is temporary.
            write("mirror.stopped", state=state, stream=STREAM, error=str(error))
        self.state = state

    # -- The state of the stream ---------------------------------------------

    async def _open(
        self, stream: LogStream, on_opened: Callable[[StreamState | None], None]
    ) -> None:
        """Read where the stream ends; create it if it is missing or incomplete."""
        state = await stream.state()
        head = await self._tail.log.committed_head()
        if state is not None and state.messages:
            await self._verify_same_log(stream, state, head)
        if state is not None and not state.is_complete:
            log.warning("mirror.corrupted", stream=STREAM, messages=state.messages, last=state.last)
            await stream.delete()
            state = None
        on_opened(state)
        if state is None:
            first = max(await self._tail.log.archived(), head - MIRROR_EVENTS_MAX, 0) + 1
            await stream.create(first=first, filled_to=head, replicas=self._replicas)
            log.info("mirror.created", stream=STREAM, first=first, head=head)
            self.position = first - 1
        else:
            self.position = state.last
        if self.state in {STOPPED, UNAVAILABLE}:
            log.info("mirror.resumed", stream=STREAM, position=self.position)
        self.state = FOLLOWING
        self._checked_at = time.monotonic()

    async def _verify_same_log(self, stream: LogStream, state: StreamState, head: int) -> None:
        """Raise StreamMismatch unless the log has the stream's last event at the same position."""
        remedy = f"`quorate mirror reset` recreates the stream {STREAM} from this log"
        if state.last > head:
            raise StreamMismatch(
                f"The stream is at {state.last}, ahead of the log at {head}. If an older log was"
                f" restored, {remedy}"
            )
        if state.last < (archived := await self._tail.log.archived()):
            raise StreamMismatch(
                f"The stream ends at {state.last}, but events up to {archived} are archived:"
                f" {remedy}"
            )
        event_id = await stream.event_id(state.last)
        (row,) = await self._tail.log.after(state.last - 1, 1)
        if event_id != row.id:
            raise StreamMismatch(f"The stream contains another log. To replace it, {remedy}")

    async def _check(self, stream: LogStream) -> None:
        """Detect that the stream is gone or that messages were removed; no event reports this."""
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        state = await stream.state()
        if state is None or not state.is_complete or state.last != self.position:
            raise _StateOutdated
        self._checked_at = time.monotonic()

    # -- Appending -----------------------------------------------------------

    async def _follow(self, stream: LogStream, follower: Follower) -> NoReturn:
        while True:
            await self._check(stream)
            if rows := await self._next_rows():
                await self._append(stream, rows)
            else:
                await follower.wait()

    async def _next_rows(self) -> Sequence[RecordedEvent]:
        published = self._published()
        if self.position >= published:
            return ()
        rows = await self._tail.after(self.position)
        return rows[: min(self._poison.limit_batch(len(rows)), published - self.position)]

    async def _append(self, stream: LogStream, rows: Sequence[RecordedEvent]) -> None:
        entries = self._entries(rows, stream.connection.message_bytes_max)
        self._poison.record_attempt(entries)
        try:
            await stream.append(entries)
        except StreamRejected as rejection:
            if rejection.is_wrong_sequence or len(entries) > 1:
                raise _StateOutdated from rejection
            if not self._poison.count_failure():
                raise  # The placeholder was rejected too, so the event is not the cause.
            log.warning(
                "mirror.append_rejected", position=entries[0].position, error=str(rejection)
            )
            raise _StateOutdated from rejection
        except RequestTimeout as timeout:
            raise _StateOutdated from timeout
        self._poison.record_success()
        self.position = entries[-1].position

    def _entries(self, rows: Sequence[RecordedEvent], bytes_max: int) -> Sequence[Entry]:
        entries = []
        size = 0
        for row in rows:
            entry = _entry(row)
            if (
                row.position == self._poison.omitted
                or len(entry.body) + HEADER_BYTES_MAX > bytes_max
            ):
                entry = _placeholder(row, entry.subject)
                log.error("mirror.event_omitted", position=row.position, type=row.type, id=row.id)
            entries.append(entry)
            size += len(entry.body)
            if size > BATCH_BYTES_MAX:
                break
        return entries


class _PoisonDetector:
    """Distinguishes an event that the server rejects from a server that rejects everything.

    After any failure events are sent one by one, so that a rejection concerns exactly one event. A
    rejection counts as a failure of the event. So does a connection that the server closes while it
    keeps running. After ATTEMPTS_MAX failures a placeholder is sent instead. If the server rejects
    that too, the event was not the cause.
    """

    def __init__(self) -> None:
        self.omitted: int | None = None
        self._one_by_one = False
        self._suspect = 0
        self._failures = 0
        self._pending: tuple[int, str] | None = None
        self._server_id = ""

    def resume(self, server_id: str) -> None:
        """Report a new connection; the same server id means that only the connection ended."""
        if self._pending is not None and self._pending[1] == server_id:
            self.count_failure()
        self._pending = None
        self._server_id = server_id

    def limit_batch(self, rows: int) -> int:
        return 1 if self._one_by_one else rows

    def record_attempt(self, entries: Sequence[Entry]) -> None:
        """Report that these entries are about to be sent."""
        self._one_by_one = True
        if len(entries) == 1:
            self._pending = (entries[0].position, self._server_id)
            if entries[0].position != self._suspect:
                self._suspect, self._failures, self.omitted = entries[0].position, 0, None

    def count_failure(self) -> bool:
        """Count a failure; False when the placeholder failed too, and counting starts again."""
        if self.omitted is not None:
            self.omitted, self._failures = None, 0
            return False
        self._failures += 1
        if self._failures >= ATTEMPTS_MAX:
            self.omitted = self._suspect
        return True

    def record_success(self) -> None:
        self._one_by_one, self._failures, self._pending, self.omitted = False, 0, None, None


def _entry(row: RecordedEvent) -> Entry:
    body = cloudevents.log_entry(row)
    try:
        subject = subjects.log(row.tenant, row.type)
    except SubjectInvalid:
        return _placeholder(row, subjects.LOG_OMITTED)
    return Entry(position=row.position, subject=subject, id=row.id, body=body)


def _placeholder(row: RecordedEvent, subject: str) -> Entry:
    body = cloudevents.log_entry_omitted(row)
    return Entry(position=row.position, subject=subject, id=row.id, body=body)
