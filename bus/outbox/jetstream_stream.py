"""The JetStream stream ``QUORATE_LOG``, spoken to in its own protocol.

The sequence of a message in it is the position of its event in the log: every message says which
one it follows, so the stream refuses whatever would break that. One answer therefore vouches for a
whole batch: had any message of it been refused, the last would have been too.
"""

import asyncio
import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from nats.aio.msg import Msg

from quorate.bus.connection import ANSWER_SECONDS_MAX, Connection, RequestTimeout
from quorate.bus.subjects import LOG_OF_ALL_TENANTS
from quorate.domain.shared.records import record

STREAM = "QUORATE_LOG"
MIRROR_EVENTS_MAX = 1_000_000
# Order is what keeps out duplicates; the server need not remember ids for its usual 2 minutes.
DUPLICATES_NANOSECONDS = 1_000_000_000
_FILLED_TO = "quorate_filled_to"
_NOT_FOUND = 10_059
_WRONG_LAST_SEQUENCE = 10_071


@dataclass(eq=False)
class StreamRejected(Exception):
    """JetStream answered, with a no."""

    code: int
    why: str

    @property
    def wrong_sequence(self) -> bool:
        """Somebody else appended, or the stream is not what we took it for."""
        return self.code == _WRONG_LAST_SEQUENCE

    def __str__(self) -> str:
        return f"{self.why} ({self.code})"


@record
class StreamState:
    """What the server says of the stream."""

    first: int
    last: int
    messages: int
    deleted: int
    subjects: Sequence[str]
    first_configured: int
    messages_max: int
    filled_to: int  # The log's head when the stream was made: up to here it only catches up.

    @property
    def whole(self) -> bool:
        """Nothing but its own limit has ever taken a message out of it."""
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
    """An event on its way into the stream."""

    position: int
    subject: str
    id: str
    body: bytes


class LogStream:
    """The stream as seen through one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._inbox = connection.client.new_inbox()
        self._answers: dict[str, asyncio.Future[Msg]] = {}

    async def open(self) -> None:
        await self.connection.client.subscribe(f"{self._inbox}.*", cb=self._on_answer)

    # -- As a whole ----------------------------------------------------------

    async def state(self) -> StreamState | None:
        """None when there is no such stream."""
        try:
            answer = await self._ask("INFO", {})
        except StreamRejected as refused:
            if refused.code == _NOT_FOUND:
                return None
            raise
        state, config = answer["state"], answer["config"]
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
        await self._ask(
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
        with suppress(StreamRejected):  # Somebody else deleted it.
            await self._ask("DELETE", {})

    async def event_id(self, position: int) -> str:
        """Which event a message holds."""
        answer = await self._ask("MSG.GET", {"seq": position})
        return str(orjson.loads(base64.b64decode(answer["message"]["data"]))["id"])

    async def _ask(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        asked = orjson.dumps(body) if body else b""
        answer = await self.connection.request(f"$JS.API.STREAM.{verb}.{STREAM}", asked)
        return _checked(answer)

    # -- Appending -----------------------------------------------------------

    async def append(self, entries: Sequence[Entry]) -> None:
        """Append in order and return when the last is stored, and so all are.

        Raises StreamRefused, or Unanswered when it is not known how many were stored.
        """
        last = entries[-1]
        reply = f"{self._inbox}.{last.position}"
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._answers[reply] = answer
        try:
            for entry in entries:
                headers = {
                    "Nats-Msg-Id": entry.id,
                    "Nats-Expected-Last-Sequence": str(entry.position - 1),
                }
                await self.connection.publish(
                    entry.subject, entry.body, headers, reply if entry is last else ""
                )
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                stored = _checked((await answer).data)
            self.connection.heard()
        except TimeoutError:
            raise RequestTimeout(f"position {last.position}") from None
        finally:
            del self._answers[reply]
        if stored["stream"] != STREAM or stored["seq"] != last.position:
            raise StreamRejected(_WRONG_LAST_SEQUENCE, f"stored as {stored['seq']}")

    async def _on_answer(self, message: Msg) -> None:
        answer = self._answers.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)


def _checked(body: bytes) -> dict[str, Any]:
    if not body:
        raise RequestTimeout("JetStream has no such stream, or is not there")
    answer = orjson.loads(body)
    assert isinstance(answer, dict)
    if error := answer.get("error"):
        raise StreamRejected(error.get("err_code", 0), error.get("description", ""))
    return answer
