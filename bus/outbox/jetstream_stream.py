"""Access the JetStream stream ``QUORATE_LOG`` with JetStream's own protocol.

* The sequence of a message in the stream is the position of its event in the log. Each message
  names the sequence that it follows, and the stream rejects it if that is not its last sequence.
* One acknowledgement therefore confirms a whole batch: if the stream had rejected any of its
  messages, it would have rejected the last one too.
"""

import asyncio
import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from nats.aio.msg import Msg

from quorate.bus.connection import RESPONSE_SECONDS_MAX, Connection, RequestTimeout
from quorate.bus.subjects import LOG_OF_ALL_TENANTS
from quorate.domain.shared.records import record

STREAM = "QUORATE_LOG"
MIRROR_EVENTS_MAX = 1_000_000
# Expected sequences prevent duplicates; the server need not remember ids for its usual 2 minutes.
DUPLICATES_NANOSECONDS = 1_000_000_000
_FILLED_TO = "quorate_filled_to"
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
    """The stream, accessed through one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._inbox = connection.client.new_inbox()
        self._acknowledgements: dict[str, asyncio.Future[Msg]] = {}

    async def open(self) -> None:
        await self.connection.client.subscribe(f"{self._inbox}.*", cb=self._on_acknowledgement)

    # -- The stream ----------------------------------------------------------

    async def state(self) -> StreamState | None:
        """Return the current state; None when the stream does not exist."""
        try:
            response = await self._request("INFO", {})
        except StreamRejected as rejection:
            if rejection.code == _NOT_FOUND:
                return None
            raise
        state, config = response["state"], response["config"]
        return StreamState(
            first=state["first_seq"],
            last=state["last_seq"],
            messages=state["messages"],
            deleted=state.get("num_deleted", 0) + len((state.get("lost") or {}).get("msgs") or ()),
            subjects=config.get("subjects", ()),
            first_configured=config.get("first_seq") or 1,
            messages_max=config["max_msgs"],
            filled_to=int((config.get("metadata") or {}).get(_FILLED_TO, 0)),
        )

    async def create(self, *, first: int, filled_to: int, replicas: int = 1) -> None:
        await self._request(
            "CREATE",
            {
                "name": STREAM,
                "subjects": [LOG_OF_ALL_TENANTS],
                "retention": "limits",
                "storage": "file",
                "discard": "old",
                "num_replicas": replicas,
                "max_msgs": MIRROR_EVENTS_MAX,
                "max_bytes": -1,
                "duplicate_window": DUPLICATES_NANOSECONDS,
                "first_seq": first,
                "metadata": {_FILLED_TO: str(filled_to)},
            },
        )

    async def delete(self) -> None:
        with suppress(StreamRejected):  # Another process deleted it.
            await self._request("DELETE", {})

    async def event_id(self, position: int) -> str:
        """Return the id of the event at this position of the stream."""
        response = await self._request("MSG.GET", {"seq": position})
        return str(orjson.loads(base64.b64decode(response["message"]["data"]))["id"])

    async def _request(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        request = orjson.dumps(body) if body else b""
        response = await self.connection.request(f"$JS.API.STREAM.{verb}.{STREAM}", request)
        return _read_response(response)

    # -- Appending -----------------------------------------------------------

    async def append(self, entries: Sequence[Entry]) -> None:
        """Append in order; return when the last entry, and therefore every entry, is stored.

        Raises StreamRejected, or RequestTimeout when it is not known how many were stored.
        """
        last = entries[-1]
        reply = f"{self._inbox}.{last.position}"
        acknowledgement: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._acknowledgements[reply] = acknowledgement
        try:
            for entry in entries:
                headers = {
                    "Nats-Msg-Id": entry.id,
                    "Nats-Expected-Last-Sequence": str(entry.position - 1),
                }
                await self.connection.publish(
                    entry.subject, entry.body, headers, reply if entry is last else ""
                )
            async with asyncio.timeout(RESPONSE_SECONDS_MAX):
                stored = _read_response((await acknowledgement).data)
            self.connection.record_activity()
        except TimeoutError:
            raise RequestTimeout(f"position {last.position}") from None
        finally:
            del self._acknowledgements[reply]
        if stored["stream"] != STREAM or stored["seq"] != last.position:
            raise StreamRejected(_WRONG_LAST_SEQUENCE, f"stored as {stored['seq']}")

    async def _on_acknowledgement(self, message: Msg) -> None:
        acknowledgement = self._acknowledgements.get(message.subject)
        if acknowledgement is not None and not acknowledgement.done():
            acknowledgement.set_result(message)


def _read_response(body: bytes) -> dict[str, Any]:
    if not body:
        raise RequestTimeout("JetStream is unavailable or has no such stream")
    response = orjson.loads(body)
    assert isinstance(response, dict)
    if error := response.get("error"):
        raise StreamRejected(error.get("err_code", 0), error.get("description", ""))
    return response
