"""Access the JetStream stream ``QUORATE_LOG`` with nats-py's JetStream API.

* The sequence of a message in the stream is the position of its event in the log. Each message
  names the sequence that it follows, and the stream rejects it if that is not its last sequence.
* One acknowledgement therefore confirms a whole batch: if the stream had rejected any of its
  messages, it would have rejected the last one too.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import orjson
from nats.errors import Error as NatsError
from nats.js.api import Header, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

from quorate.bus.connection import RESPONSE_SECONDS_MAX, Connection, RequestTimeout
from quorate.bus.subjects import LOG_OF_ALL_TENANTS
from quorate.domain.shared.records import record

T = TypeVar("T")

STREAM = "QUORATE_LOG"
MIRROR_EVENTS_MAX = 1_000_000
# Expected sequences prevent duplicates; the server need not remember ids for its usual 2 minutes.
DUPLICATES_SECONDS = 1.0
_FILLED_TO = "quorate_filled_to"
_MESSAGE_ID = Header.MSG_ID.value
_EXPECTED_LAST_SEQUENCE = Header.EXPECTED_LAST_SEQUENCE.value
_NOT_FOUND = 10_059
_WRONG_LAST_SEQUENCE = 10_071


@dataclass(eq=False)
class StreamRejected(Exception):
    """JetStream responded with an error."""

    code: int
    reason: str

    @property
    def is_wrong_sequence(self) -> bool:
        """Whether another process appended, or the stream is in an unexpected state."""
        return self.code == _WRONG_LAST_SEQUENCE

    def __str__(self) -> str:
        return f"{self.reason} ({self.code})"


@record
class StreamState:
    """The state and configuration of the stream as the server reports them."""

    first: int
    last: int
    messages: int
    deleted: int
    subjects: Sequence[str]
    first_configured: int
    messages_max: int
    filled_to: int  # The log's head at the stream's creation; messages up to here are a backfill.

    @property
    def is_complete(self) -> bool:
        """Whether no message was removed except by the stream's own limit."""
        first = self.first_configured
        if self.messages_max > 0:
            first = max(first, self.last - self.messages_max + 1)
        present = range(first, self.last + 1)
        return (
            list(self.subjects) == [LOG_OF_ALL_TENANTS]
            and self.deleted == 0
            and self.messages == len(present)
            and (self.first == first or not present)
        )


@record
class Entry:
    """An event to be appended to the stream."""

    position: int
    subject: str
    id: str
    body: bytes


class LogStream:
    """The stream, accessed through one connection.

    Every method raises StreamRejected, or RequestTimeout when JetStream does not respond.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # nats-py's own timeout can lose a cancellation (bus/connection.py): _wait sets the limit.
        self._jetstream = connection.client.jetstream(timeout=None)

    # -- The stream ----------------------------------------------------------

    async def state(self) -> StreamState | None:
        """Return the current state; None when the stream does not exist."""
        try:
            info = await self._wait(self._jetstream.stream_info(STREAM))
        except StreamRejected as rejection:
            if rejection.code == _NOT_FOUND:
                return None
            raise
        state, config = info.state, info.config
        lost = state.lost.msgs if state.lost is not None else None
        return StreamState(
            first=state.first_seq,
            last=state.last_seq,
            messages=state.messages,
            deleted=(state.num_deleted or 0) + len(lost or ()),
            subjects=config.subjects or (),
            first_configured=config.first_seq or 1,
            messages_max=config.max_msgs or 0,
            filled_to=int((config.metadata or {}).get(_FILLED_TO, 0)),
        )

    async def create(self, *, first: int, filled_to: int, replicas: int = 1) -> None:
        config = StreamConfig(
            name=STREAM,
            subjects=[LOG_OF_ALL_TENANTS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=replicas,
            max_msgs=MIRROR_EVENTS_MAX,
            max_bytes=-1,
            duplicate_window=DUPLICATES_SECONDS,
            first_seq=first,
            metadata={_FILLED_TO: str(filled_to)},
        )
        await self._wait(self._jetstream.add_stream(config))

    async def delete(self) -> None:
        with suppress(StreamRejected):  # Another process deleted it.
            await self._wait(self._jetstream.delete_stream(STREAM))

    async def event_id(self, position: int) -> str:
        """Return the id of the event at this position of the stream."""
        message = await self._wait(self._jetstream.get_msg(STREAM, position))
        return str(orjson.loads(message.data or b"")["id"])

    # -- Appending -----------------------------------------------------------

    async def append(self, entries: Sequence[Entry]) -> None:
        """Append in order; return when the last entry, and therefore every entry, is stored.

        nats-py 2.16 asks the stream to acknowledge each message. Here all entries but the last are
        plain messages without acknowledgement. After RequestTimeout it is not known how many
        entries are stored.
        """
        *unconfirmed, last = entries
        for entry in unconfirmed:
            await self.connection.publish(entry.subject, entry.body, _headers(entry))
        stored = await self._wait(
            self._jetstream.publish(last.subject, last.body, headers=_headers(last))
        )
        if stored.stream != STREAM or stored.seq != last.position:
            raise StreamRejected(_WRONG_LAST_SEQUENCE, f"stored as {stored.seq}")

    async def _wait(self, response: Awaitable[T]) -> T:
        """Return the response; it proves that the server is alive."""
        try:
            async with asyncio.timeout(RESPONSE_SECONDS_MAX):
                result = await response
        except APIError as error:
            if error.err_code is None:  # nats-py's error for a request that no server received.
                raise RequestTimeout("JetStream is unavailable") from error
            raise StreamRejected(error.err_code, error.description or "") from error
        except (NatsError, OSError, ValueError) as error:
            raise RequestTimeout(str(error) or "JetStream does not respond") from error
        self.connection.record_activity()
        return result


def _headers(entry: Entry) -> dict[str, str]:
    return {_MESSAGE_ID: entry.id, _EXPECTED_LAST_SEQUENCE: str(entry.position - 1)}
