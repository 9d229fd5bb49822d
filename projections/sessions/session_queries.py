"""Queries of sessions: one by its key, a list under a policy, the messages, and the values.

* A policy is a condition of the query, so it holds before limits and counts.
* A session whose owner was removed is unknown.
* Messages are found by their index, so a page takes the same time in a session of any length.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, func, or_, select

from quorate.domain.identity.agents import name_key
from quorate.domain.sessions.policies import Access
from quorate.domain.sessions.session_messages import (
    JSON_PART,
    TEXT_PART,
    SessionMessage,
)
from quorate.domain.sessions.session_values import VALUE_PART, SessionValue
from quorate.domain.sessions.sessions import Session, agent_name_in, main_session_id
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.identity import agents
from quorate.projections.sessions import session_messages as message_rows
from quorate.projections.sessions import session_values as value_rows
from quorate.projections.sessions import sessions as session_rows
from quorate.projections.sessions.session_access import VisibleSessions, visible_sessions
from quorate.projections.snapshots import QueryResult, Snapshot, open_snapshot

MESSAGE_RESERVE = 600  # Bytes of a message in a response, without its body.
SHAPES_MAX = 128  # Statements of lists that are kept: one for each form of a policy.
ESCAPE = "\\"
_sessions, _messages, _values = session_rows.TABLE, message_rows.TABLE, value_rows.TABLE


@record
class FoundSession:
    """A session by its key. ``owner_id`` is known for a key of an agent without a session too."""

    session: Session | None
    owner_id: str | None


@record
class SessionPosition:
    """Where a page of a list ends."""

    updated_at: Timestamp
    created_at: Timestamp
    key: str


@record
class MessageRow:
    """A message with its body, unless that was erased."""

    message: SessionMessage
    content: Content | None


@record
class KeyedMessage:
    """A message and the key of the session that holds it."""

    row: MessageRow
    session_key: str


@record
class MessageRange:
    """The messages from one index up to another, which is excluded; ``is_newest_kept`` says which
    are left out if they do not fit into a page: the oldest ones, or else the newest ones.
    """

    start: int
    end: int
    is_newest_kept: bool = True


class SessionQueries:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._contents = ContentStore(log.database)
        self._queries = _Queries(log)

    async def find(self, tenant: str, key: str) -> QueryResult[FoundSession]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            return snapshot.result(await self._find(snapshot, tenant, key))

    async def main(self, tenant: str, agent_id: str) -> Session | None:
        values = {"tenant": tenant, "id": main_session_id(agent_id)}
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._queries.by_id, values)
        return session_rows.from_row(found[0]) if found else None

    async def page(
        self,
        tenant: str,
        access: Access,
        filter_: str | None,
        after: SessionPosition | None,
        limit: int,
    ) -> QueryResult[Sequence[Session]]:
        """Return up to ``limit`` sessions, one more if there are more."""
        visible = visible_sessions(self._log.database, access)
        values: dict[str, Any] = {
            "tenant": tenant,
            "main": "" if access.agent_id is None else main_session_id(access.agent_id),
            "pattern": None if filter_ is None else pattern_of(filter_),
            **visible.values,
        }
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found: list[Any] = []
            if after is None and access.agent_id is not None:
                query = self._queries.main_of_list(visible, has_filter=filter_ is not None)
                found += await snapshot.rows(query, values)
            else:
                values |= {} if after is None else values_of(after)
            query = self._queries.list(
                visible, has_filter=filter_ is not None, has_cursor=after is not None
            )
            found += await snapshot.rows(query, {**values, "limit": limit + 1 - len(found)})
            return snapshot.result([session_rows.from_row(row) for row in found])

    async def history(
        self,
        tenant: str,
        key: str,
        check: Callable[[FoundSession], Session],
        range_of: Callable[[Session], MessageRange],
        bytes_max: int,
    ) -> QueryResult[tuple[Session, Sequence[MessageRow]]]:
        """Return a session and a page of its messages; ``check`` raises if it is not visible."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            session = check(await self._find(snapshot, tenant, key))
            within = range_of(session)
            messages = await self._messages(snapshot, tenant, session, within)
            kept = _fitting(messages, within, bytes_max)
            return snapshot.result((session, await self._with_bodies(snapshot, tenant, kept)))

    async def reply(self, tenant: str, message_id: str) -> KeyedMessage | None:
        """Return the reply to a message, if there is one."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            values = {"tenant": tenant, "id": message_id}
            found = await snapshot.rows(self._queries.reply, values)
            rows = await self._with_bodies(
                snapshot, tenant, [message_rows.from_row(row) for row in found]
            )
            return KeyedMessage(row=rows[0], session_key=found[0].session_key) if rows else None

    # -- Values --------------------------------------------------------------

    async def values(
        self, tenant: str, session_id: str, namespace: str
    ) -> QueryResult[Sequence[SessionValue]]:
        """Return the values of a namespace in the order of their keys."""
        values = {"tenant": tenant, "session_id": session_id, "namespace": namespace}
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = await snapshot.rows(self._queries.values, values)
            return snapshot.result([value_rows.from_row(row) for row in found])

    async def value(
        self, tenant: str, session_id: str, namespace: str, name: str
    ) -> QueryResult[bytes | None]:
        values = {"tenant": tenant, "session_id": session_id, "namespace": namespace}
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = await snapshot.rows(self._queries.value, {**values, "name": name})
            ids = [row.id for row in found]
            contents = await self._contents.read(snapshot.transaction, tenant, ids, (VALUE_PART,))
            return snapshot.result(next((one.data for one in contents.values()), None))

    # -- Parts ---------------------------------------------------------------

    async def _find(self, snapshot: Snapshot, tenant: str, key: str) -> FoundSession:
        found = await snapshot.rows(self._queries.by_key, {"tenant": tenant, "key": key})
        if found:
            session = session_rows.from_row(found[0])
            return FoundSession(session=session, owner_id=session.owner_id)
        name = agent_name_in(key)
        owners: Sequence[Any] = ()
        if name is not None:
            values = {"tenant": tenant, "name_key": name_key(name), "name": name}
            owners = await snapshot.rows(self._queries.owner, values)
        return FoundSession(session=None, owner_id=owners[0].id if owners else None)

    async def _messages(
        self, snapshot: Snapshot, tenant: str, session: Session, within: MessageRange
    ) -> list[SessionMessage]:
        found: list[SessionMessage] = []
        first = 0
        for session_id, end in session.segments:
            start, stop = max(first, within.start), min(end, within.end)
            first = end
            if start >= stop:
                continue
            values = {"tenant": tenant, "session_id": session_id, "start": start, "stop": stop}
            rows = await snapshot.rows(self._queries.messages, values)
            found += [message_rows.from_row(row) for row in rows]
        return found

    async def _with_bodies(
        self, snapshot: Snapshot, tenant: str, messages: Sequence[SessionMessage]
    ) -> Sequence[MessageRow]:
        ids = [one.id for one in messages if one.erased_at is None]
        parts = (TEXT_PART, JSON_PART)
        contents = await self._contents.read(snapshot.transaction, tenant, ids, parts)
        return [
            MessageRow(message=one, content=contents.get((one.id, one.part))) for one in messages
        ]


def _fitting(
    messages: Sequence[SessionMessage], within: MessageRange, bytes_max: int
) -> Sequence[SessionMessage]:
    """Return the messages that fit into a page, at least one."""
    kept: list[SessionMessage] = []
    size = 0
    for message in reversed(messages) if within.is_newest_kept else messages:
        size += message.bytes + MESSAGE_RESERVE
        if kept and size > bytes_max:
            break
        kept.append(message)
    return kept[::-1] if within.is_newest_kept else kept


def pattern_of(filter_: str) -> str:
    for special in (ESCAPE, "%", "_"):
        filter_ = filter_.replace(special, ESCAPE + special)
    return f"%{filter_}%"


def values_of(position: SessionPosition) -> Mapping[str, Any]:
    return {
        "last_updated": position.updated_at,
        "last_created": position.created_at,
        "last_key": position.key,
    }


# -- Statements ----------------------------------------------------------------

_OWNER = and_(
    agents.TABLE.c.tenant == _sessions.c.tenant, agents.TABLE.c.id == _sessions.c.owner_id
)
EXISTING: Select[Any] = (
    select(_sessions)
    .select_from(_sessions.join(agents.TABLE, _OWNER))
    .where(_sessions.c.tenant == bindparam("tenant"), session_rows.is_listed)
)


LAST_CHANGED_FIRST = (
    _sessions.c.updated_at.desc(),
    _sessions.c.created_at.desc(),
    _sessions.c.key,
)


class _Queries:
    def __init__(self, log: EventStore) -> None:
        self._dialect = log.database.dialect
        self.by_key = self._query(EXISTING.where(_sessions.c.key == bindparam("key")))
        self.by_id = self._query(EXISTING.where(_sessions.c.id == bindparam("id")))
        owners = agents.TABLE
        owner = select(owners.c.id).where(
            owners.c.tenant == bindparam("tenant"),
            owners.c.name_key == bindparam("name_key"),
            owners.c.name == bindparam("name"),
            owners.c.status != "reserved",
        )
        self.owner = self._query(owner)
        messages = select(_messages).where(
            _messages.c.tenant == bindparam("tenant"),
            _messages.c.session_id == bindparam("session_id"),
            _messages.c.position >= bindparam("start"),
            _messages.c.position < bindparam("stop"),
        )
        self.messages = self._query(messages.order_by(_messages.c.position))
        asked = _messages.alias("asked")
        answers = and_(_messages.c.tenant == asked.c.tenant, _messages.c.id == asked.c.reply_id)
        holds = and_(
            _sessions.c.tenant == _messages.c.tenant, _sessions.c.id == _messages.c.session_id
        )
        reply = (
            select(_messages, _sessions.c.key.label("session_key"))
            .select_from(asked.join(_messages, answers).join(_sessions, holds))
            .where(asked.c.tenant == bindparam("tenant"), asked.c.id == bindparam("id"))
        )
        self.reply = self._query(reply)
        values = select(_values).where(
            _values.c.tenant == bindparam("tenant"),
            _values.c.session_id == bindparam("session_id"),
            _values.c.namespace == bindparam("namespace"),
        )
        self.values = self._query(values.order_by(_values.c.name))
        self.value = self._query(values.where(_values.c.name == bindparam("name")))
        self._lists: dict[tuple[Any, ...], Query] = {}

    def main_of_list(self, visible: VisibleSessions, *, has_filter: bool) -> Query:
        key = ("main", visible.shape, has_filter)
        is_main = _sessions.c.id == bindparam("main")
        return self._kept(key, lambda: self._listed(visible, has_filter).where(is_main))

    def list(self, visible: VisibleSessions, *, has_filter: bool, has_cursor: bool) -> Query:
        key = ("list", visible.shape, has_filter, has_cursor)

        def make() -> Select[Any]:
            statement = self._listed(visible, has_filter).where(_sessions.c.id != bindparam("main"))
            if has_cursor:
                statement = statement.where(is_after_cursor())
            return statement.order_by(*LAST_CHANGED_FIRST).limit(bindparam("limit"))

        return self._kept(key, make)

    def _listed(self, visible: VisibleSessions, has_filter: bool) -> Select[Any]:  # noqa: FBT001
        statement = EXISTING.where(visible.condition)
        return statement.where(matches_pattern()) if has_filter else statement

    def _kept(self, key: tuple[Any, ...], make: Callable[[], Select[Any]]) -> Query:
        found = self._lists.get(key)
        if found is None:
            if len(self._lists) >= SHAPES_MAX:
                self._lists.clear()
            found = self._lists[key] = self._query(make())
        return found

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._dialect)


def matches_pattern() -> ColumnElement[bool]:
    pattern = func.lower(bindparam("pattern"))
    columns = (_sessions.c.key, _sessions.c.label)
    return or_(*(func.lower(column).like(pattern, escape=ESCAPE) for column in columns))


@lru_cache(maxsize=1)
def is_after_cursor() -> ColumnElement[bool]:
    """Whether a session follows the last one of the page before, in the order of the list."""
    updated, created = _sessions.c.updated_at, _sessions.c.created_at
    last_updated: BindParameter[int] = bindparam("last_updated")
    last_created: BindParameter[int] = bindparam("last_created")
    return and_(
        updated <= last_updated,
        or_(
            updated < last_updated,
            created < last_created,
            and_(created == last_created, _sessions.c.key > bindparam("last_key")),
        ),
    )
