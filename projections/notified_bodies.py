"""Add the bodies of messages to the events that notify of them.

* One query reads the bodies of a batch of events, and none is needed for a batch without messages.
* A body that is longer than NOTIFIED_BODY_BYTES_MAX or erased is left out. The database compares
  the length, so that no long body is read.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Select, and_, func, or_, select

from quorate.domain.mail.notifications import BODY_EVENT, NOTIFIED_BODY_BYTES_MAX
from quorate.domain.sessions.notifications import SESSION_BODY_EVENT
from quorate.domain.shared.records import changed
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.tables import message_bodies
from quorate.eventlog.transactions import DatabaseTransaction, UnpackedQuery

_BODY_EVENTS = frozenset({BODY_EVENT, SESSION_BODY_EVENT})
# The parts of bodies that notifications contain; a message of a session has one of them.
_PARTS = ("text", "json")
_columns = message_bodies.c


class NotifiedBodies:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._query = UnpackedQuery(_by_message(log.database), log.database.dialect)

    async def add(self, rows: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
        """Return the events, with bodies where they exist now."""
        if not _has_bodies(rows):
            return rows
        async with self._log.read() as transaction:
            return await self.add_within(transaction, rows)

    async def add_within(
        self, transaction: DatabaseTransaction, rows: Sequence[RecordedEvent]
    ) -> Sequence[RecordedEvent]:
        """Return the events, with bodies of the snapshot of ``transaction``."""
        if not _has_bodies(rows):
            return rows
        keys = [(row.tenant, _message_id(row)) if _has_body(row) else None for row in rows]
        wanted = orjson.dumps([*{key for key in keys if key is not None}]).decode()
        found = await transaction.fetch(self._query, {"messages": wanted})
        texts = {(one.tenant, one.message_id): _text(one.body) for one in found}
        return [*_with_texts(rows, [None if key is None else texts.get(key) for key in keys])]


def size_of_body(row: RecordedEvent) -> int:
    """Return the most bytes of UTF-8 that the body of an event can have."""
    if not _has_body(row):
        return 0
    data = orjson.loads(row.data)
    size = data["bytes"] if row.type == BODY_EVENT else data["contents"][0]["bytes"]
    return min(NOTIFIED_BODY_BYTES_MAX, int(size))


def _has_body(row: RecordedEvent) -> bool:
    return row.type in _BODY_EVENTS


def _has_bodies(rows: Sequence[RecordedEvent]) -> bool:
    return any(map(_has_body, rows))


def _message_id(row: RecordedEvent) -> str:
    return str(orjson.loads(row.data)["messageId"])


def _text(body: bytes) -> str:
    """Decode a body; one that was damaged must not stop the notifications of others."""
    return bytes(body).decode(errors="replace")


def _with_texts(
    rows: Sequence[RecordedEvent], texts: Sequence[str | None]
) -> Iterator[RecordedEvent]:
    for row, text in zip(rows, texts, strict=True):
        yield row if text is None else changed(row, body_text=text)


def _by_message(database: Database) -> Select[Any]:
    messages, (tenant, message_id) = database.rows("messages", 2)
    same = and_(
        _columns.tenant == tenant,
        _columns.message_id == message_id,
        or_(*(_columns.part == part for part in _PARTS)),
    )
    return (
        select(_columns.tenant, _columns.message_id, _columns.body)
        .select_from(messages.join(message_bodies, same))
        .where(func.length(_columns.body) <= NOTIFIED_BODY_BYTES_MAX)
    )
