"""Keeps the JetStream stream equal to the log: message N is the event at position N.

* The stream's own last sequence is the cursor, read again after anything unexpected. There is no
  other state, so a second mirror, a restart and a lost answer are one and the same case.
* A stream that is missing, or from which something was taken, is made anew and filled from the
  log. One that holds what this log does not hold is left alone, and says so: somebody must look.
* An event enters the stream only when its notifications went out: what the stream has was said.
* One that ends where events were archived since cannot be gone on with, and is left alone as well.
* An event that the server will not take, whatever we do, leaves a placeholder at its position.
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
TRIES_MAX = 3
BATCH_BYTES_MAX = 4 * 1024 * 1024

WAITING = "waiting"
FOLLOWING = "following"
STOPPED = "stopped"  # Somebody must look.
UNAVAILABLE = "unavailable"

log = structlog.get_logger(__name__)


class StreamMismatch(Exception):
    """The stream holds what this log does not: an older log was restored, or it is another's."""


class _Reopen(Exception):
    """What we took for the stream's state is not it: read it again."""


class Mirror:
    """``replicas`` is how many servers of a cluster are to hold the stream, when it is made."""

    def __init__(self, tail: LogTail, announced: Callable[[], int], *, replicas: int = 1) -> None:
        self._tail = tail
        self._replicas = replicas
        self._announced = announced
        self._poison = _Poison()
        self._checked_at = 0.0
        self.position = 0  # The stream holds everything up to here.
        self.state = WAITING

    async def run(
        self,
        connection: Connection,
        follower: Follower,
        opened: Callable[[StreamState | None], None],
    ) -> NoReturn:
        """``opened`` hears of the stream as it was found; None if it can't say what was told."""
        stream = LogStream(connection)
        await stream.open()
        self._poison.resume(connection.server_id)
        while True:
            try:
                await self._open(stream, opened)
                await self._follow(stream, follower)
            except _Reopen:
                await asyncio.sleep(REOPEN_SECONDS)
            except (StreamMismatch, StreamRejected, RequestTimeout) as error:
                self._stop(error)
                opened(None)
                await asyncio.sleep(CHECK_SECONDS)

    def _stop(self, error: Exception) -> None:
        state = STOPPED if isinstance(error, StreamMismatch) else UNAVAILABLE
        if self.state != state:
            say = log.error if state == STOPPED else log.warning  # The other passes by itself.
            say("mirror_halted", state=state, stream=STREAM, error=str(error))
        self.state = state

    # -- The stream as it is -------------------------------------------------

    async def _open(self, stream: LogStream, opened: Callable[[StreamState | None], None]) -> None:
        """Find out where the stream ends; make it if it is missing or was damaged."""
        state = await stream.state()
        head = await self._tail.log.committed_head()
        if state is not None and state.messages:
            await self._recognise(stream, state, head)
        if state is not None and not state.whole:
            log.warning("mirror_damaged", stream=STREAM, messages=state.messages, last=state.last)
            await stream.delete()
            state = None
        opened(state)
        if state is None:
            first = max(await self._tail.log.archived(), head - MIRROR_EVENTS_MAX, 0) + 1
            await stream.create(first=first, filled_to=head, replicas=self._replicas)
            log.info("mirror_created", stream=STREAM, first=first, head=head)
            self.position = first - 1
        else:
            self.position = state.last
        if self.state in {STOPPED, UNAVAILABLE}:
            log.info("mirror_resumed", stream=STREAM, position=self.position)
        self.state = FOLLOWING
        self._checked_at = time.monotonic()

    async def _recognise(self, stream: LogStream, state: StreamState, head: int) -> None:
        """Raise StreamForeign unless the stream's last event is in the log, where it should be."""
        remedy = f"`quorate mirror reset` has the stream {STREAM} filled from this log"
        if state.last > head:
            raise StreamMismatch(
                f"the stream is at {state.last}, ahead of the log at {head}: was an older log"
                f" restored? If so, {remedy}"
            )
        if state.last < (archived := await self._tail.log.archived()):
            raise StreamMismatch(
                f"the stream ends at {state.last}, and events up to {archived} were archived since:"
                f" {remedy}"
            )
        found = await stream.event_id(state.last)
        (row,) = await self._tail.log.after(state.last - 1, 1)
        if found != row.id:
            raise StreamMismatch(f"the stream is of another log: if it should not be, {remedy}")

    async def _check(self, stream: LogStream) -> None:
        """Notification what nobody tells us: that the stream is gone, or that messages were removed."""
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        state = await stream.state()
        if state is None or not state.whole or state.last != self.position:
            raise _Reopen
        self._checked_at = time.monotonic()

    # -- Appending -----------------------------------------------------------

    async def _follow(self, stream: LogStream, follower: Follower) -> NoReturn:
        while True:
            await self._check(stream)
            if rows := await self._due():
                await self._append(stream, rows)
            else:
                await follower.more()

    async def _due(self) -> Sequence[RecordedEvent]:
        announced = self._announced()
        if self.position >= announced:
            return ()
        rows = await self._tail.after(self.position)
        return rows[: min(self._poison.batch_rows(len(rows)), announced - self.position)]

    async def _append(self, stream: LogStream, rows: Sequence[RecordedEvent]) -> None:
        entries = self._entries(rows, stream.connection.message_bytes_max)
        self._poison.risk(entries)
        try:
            await stream.append(entries)
        except StreamRejected as refused:
            if refused.wrong_sequence or len(entries) > 1:
                raise _Reopen from refused
            if not self._poison.may_try_again():
                raise  # Not even a placeholder is taken: it is not this event's fault.
            log.warning("mirror_refused", position=entries[0].position, error=str(refused))
            raise _Reopen from refused
        except RequestTimeout as unanswered:
            raise _Reopen from unanswered
        self._poison.taken()
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
                log.error("mirror_omitted", position=row.position, type=row.type, id=row.id)
            entries.append(entry)
            size += len(entry.body)
            if size > BATCH_BYTES_MAX:
                break
        return entries


class _Poison:
    """Tells an event that the server will not take from a server that takes nothing.

    After any failure one event is tried alone, so that a refusal is surely about this one. It
    counts against the event when the server says no, or ends the connection and lives on. After
    TRIES_MAX such tries a placeholder is sent; if that is refused too, the event was not to blame.
    """

    def __init__(self) -> None:
        self.omitted: int | None = None
        self._alone = False
        self._suspect = 0
        self._tries = 0
        self._at_risk: tuple[int, str] | None = None
        self._server_id = ""

    def resume(self, server_id: str) -> None:
        """A new connection; to the same server if it only ended the last one."""
        if self._at_risk is not None and self._at_risk[1] == server_id:
            self.may_try_again()
        self._at_risk = None
        self._server_id = server_id

    def batch_rows(self, rows: int) -> int:
        return 1 if self._alone else rows

    def risk(self, entries: Sequence[Entry]) -> None:
        """These are sent now, and nobody has refused them yet."""
        self._alone = True
        if len(entries) == 1:
            self._at_risk = (entries[0].position, self._server_id)
            if entries[0].position != self._suspect:
                self._suspect, self._tries, self.omitted = entries[0].position, 0, None

    def may_try_again(self) -> bool:
        """Count a failure of the suspect; False when a placeholder failed and all starts over."""
        if self.omitted is not None:
            self.omitted, self._tries = None, 0
            return False
        self._tries += 1
        if self._tries >= TRIES_MAX:
            self.omitted = self._suspect
        return True

    def taken(self) -> None:
        self._alone, self._tries, self._at_risk, self.omitted = False, 0, None, None


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
