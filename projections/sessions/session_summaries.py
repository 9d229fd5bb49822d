"""The sessions of all agents of a tenant with their last message, for operators.

* The order is that of all lists of sessions: the last changed one first.
* Of the last message only its beginning is read.
"""

from collections.abc import Callable, Mapping, Sequence

import orjson
from sqlalchemy import BigInteger, and_, bindparam, cast, select

from quorate.domain.sessions.session_messages import SessionMessage
from quorate.domain.sessions.sessions import Session
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.sessions import session_messages as message_rows
from quorate.projections.sessions import sessions as session_rows
from quorate.projections.sessions.session_queries import (
    EXISTING,
    LAST_CHANGED_FIRST,
    SessionPosition,
    is_after_cursor,
    matches_pattern,
    pattern_of,
    values_of,
)
from quorate.projections.snapshots import QueryResult, Size, Snapshot, open_snapshot

_messages = message_rows.TABLE
# Without a bound SQLite would sort all sessions of the tenant instead of reading by the index.
_LATEST = Timestamp(2**63 - 1)
_BEFORE_ALL = SessionPosition(updated_at=_LATEST, created_at=_LATEST, key="")


@record
class LastMessage:
    """A message, and the beginning of its text or JSON, which is None if it was erased."""

    message: SessionMessage
    beginning: str | None


@record
class SessionSummary:
    session: Session
    last: LastMessage | None

    @property
    def id(self) -> str:
        return self.session.id


class SessionSummaries:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._contents = ContentStore(log.database)
        self._lists = {
            has_filter: self._list(has_filter=has_filter) for has_filter in (False, True)
        }
        # The tenant is in the rows as well: SQLite would read all messages of a tenant given apart.
        rows, (tenant, session_id, position) = log.database.rows("asked", 3)
        is_asked = and_(
            _messages.c.tenant == tenant,
            _messages.c.session_id == session_id,
            _messages.c.position == cast(position, BigInteger),
        )
        asked = select(_messages).select_from(rows.join(_messages, is_asked))
        self._messages = Query(asked, log.database.dialect)

    async def page(
        self,
        tenant: str,
        filter_: str | None,
        after: SessionPosition | None,
        limit: int,
        size: Size[SessionSummary],
    ) -> QueryResult[Sequence[SessionSummary]]:
        values = {"tenant": tenant, "pattern": None if filter_ is None else pattern_of(filter_)}
        position = after or _BEFORE_ALL
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:

            async def read(_after: str, length: int) -> Sequence[SessionSummary]:
                nonlocal position
                place = {**values, **values_of(position), "limit": length}
                rows = await snapshot.rows(self._lists[filter_ is not None], place)
                found = [session_rows.from_row(row) for row in rows]
                if found:
                    position = position_of(found[-1])
                return await self._with_last_messages(snapshot, tenant, found)

            return await snapshot.collect(read, "", limit, size)

    async def _with_last_messages(
        self, snapshot: Snapshot, tenant: str, sessions: Sequence[Session]
    ) -> Sequence[SessionSummary]:
        places = {one.id: _last_place(one) for one in sessions}
        asked = [(tenant, *place) for place in dict.fromkeys(places.values()) if place]
        found: Mapping[tuple[str, str], SessionMessage] = {}
        if asked:
            values = {"asked": orjson.dumps(asked).decode()}
            messages = map(message_rows.from_row, await snapshot.rows(self._messages, values))
            found = {(one.session_id, str(one.index)): one for one in messages}
        keys = [(one.id, one.part) for one in found.values()]
        beginnings = await self._contents.read_beginnings(snapshot.transaction, tenant, keys)

        def last_of(session: Session) -> LastMessage | None:
            place = places[session.id]
            message = None if place is None else found.get(place)
            if message is None:
                return None
            beginning = beginnings.get((message.id, message.part))
            return LastMessage(message=message, beginning=beginning)

        return [SessionSummary(session=one, last=last_of(one)) for one in sessions]

    def _list(self, *, has_filter: bool) -> Query:
        statement = EXISTING.where(is_after_cursor())
        if has_filter:
            statement = statement.where(matches_pattern())
        ordered = statement.order_by(*LAST_CHANGED_FIRST).limit(bindparam("limit"))
        return Query(ordered, self._log.database.dialect)


def position_of(session: Session) -> SessionPosition:
    return SessionPosition(
        updated_at=session.updated_at, created_at=session.created_at, key=session.key
    )


def _last_place(session: Session) -> tuple[str, str] | None:
    """Return the session that holds the last message, and its index; a branch may have none."""
    if not session.message_count:
        return None
    holder, _end = session.segments[-1]
    return holder, str(session.message_count - 1)
