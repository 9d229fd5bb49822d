"""Search the messages of sessions: the newest matches that the caller sees.

* The index is that of mail (decision 0095): hashed words, filled after the message is stored.
* Matches are read in blocks of the newest ones, and each block is restricted to the sessions that
  the caller sees, before anything is counted. The search ends when it has enough, or found all.
* A search reads at most BLOCKS_MAX * BLOCK_MATCHES_MAX matches of the index.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, column, select
from sqlalchemy import text as sql

from quorate.domain.sessions.policies import Access
from quorate.domain.sessions.session_messages import JSON_PART, TEXT_PART, SessionMessage
from quorate.domain.sessions.sessions import Session
from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import search_tenants
from quorate.eventlog.transactions import Query
from quorate.projections.inverted_index import InvertedIndex
from quorate.projections.search_index import SearchTenant, sequence_of, session_hash
from quorate.projections.sessions import session_messages as message_rows
from quorate.projections.sessions import sessions as session_rows
from quorate.projections.sessions.session_access import VisibleSessions, visible_sessions
from quorate.projections.sessions.session_queries import EXISTING, SHAPES_MAX
from quorate.projections.snapshots import QueryResult, Snapshot, open_snapshot

BLOCK_MATCHES_MAX = 250
BLOCKS_MAX = 200
_sessions, _messages = session_rows.TABLE, message_rows.TABLE


@record
class Hit:
    session: Session
    message: SessionMessage
    content: Content | None


@record
class SessionSearchFilter:
    words: Sequence[str]
    limit: int
    per_session: int
    excluded_key: str | None = None


class SessionSearch:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._contents = ContentStore(log.database)
        self._queries = _Queries(log)
        self._index = InvertedIndex(log.database.dialect)

    async def search(
        self, tenant: str, access: Access, filters: SessionSearchFilter
    ) -> QueryResult[Sequence[Hit]]:
        visible = visible_sessions(self._log.database, access)
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            none: Sequence[Hit] = ()
            nothing = snapshot.result(none)
            rows = await snapshot.rows(self._queries.tenant, {"tenant": tenant})
            if not rows or not filters.words:
                return nothing
            its = SearchTenant(number=rows[0].number, key=bytes(rows[0].key))
            hits: list[Hit] = []
            per_session: Counter[str] = Counter()
            newest: int | None = nothing.sequence
            for _ in range(BLOCKS_MAX):
                assert newest is not None
                ids, newest = await self._block(snapshot, its, filters.words, newest)
                for hit in await self._visible(snapshot, tenant, visible, ids):
                    is_excluded = hit.session.key == filters.excluded_key
                    if is_excluded or per_session[hit.session.id] >= filters.per_session:
                        continue
                    per_session[hit.session.id] += 1
                    hits.append(hit)
                if newest is None or len(hits) >= filters.limit:
                    break
            found = await self._with_bodies(snapshot, tenant, hits[: filters.limit])
            return snapshot.result(found)

    async def _block(
        self, snapshot: Snapshot, its: SearchTenant, words: Sequence[str], newest: int
    ) -> tuple[Sequence[str], int | None]:
        """Return ids of matching messages, and the newest sequence of the next block."""
        hashes = [session_hash(its), *[its.hash_of("word", word) for word in words]]
        values = {
            "sqlite_words": " AND ".join([f'"{one}"' for one in hashes]),
            "postgres_words": " & ".join(hashes),
            "oldest": its.document_id(0),
            "newest": its.document_id(newest),
        }
        rows = await self._index.rows(snapshot, self._queries.matches, values)
        ordered = sorted(rows, key=lambda row: int(row.id), reverse=True)
        is_full = len(rows) == BLOCK_MATCHES_MAX
        following = sequence_of(ordered[-1].id) - 1 if is_full else None
        return [row.message_id for row in ordered], following

    async def _visible(
        self, snapshot: Snapshot, tenant: str, visible: VisibleSessions, ids: Sequence[str]
    ) -> Sequence[Hit]:
        """Return the matches that the caller sees, the newest first."""
        if not ids:
            return ()
        messages = await snapshot.rows(
            self._queries.messages,
            {"tenant": tenant, "ids": orjson.dumps([[one] for one in ids]).decode()},
        )
        of_sessions = [[one] for one in {row.session_id for row in messages}]
        sessions = await snapshot.rows(
            self._queries.sessions(visible),
            {"tenant": tenant, "ids": orjson.dumps(of_sessions).decode(), **visible.values},
        )
        by_id = {row.id: session_rows.from_row(row) for row in sessions}
        found = [message_rows.from_row(row) for row in messages]
        return [
            Hit(session=by_id[one.session_id], message=one, content=None)
            for one in sorted(found, key=lambda one: one.sequence, reverse=True)
            if one.session_id in by_id and one.erased_at is None
        ]

    async def _with_bodies(
        self, snapshot: Snapshot, tenant: str, hits: Sequence[Hit]
    ) -> Sequence[Hit]:
        ids = [one.message.id for one in hits]
        parts = (TEXT_PART, JSON_PART)
        contents = await self._contents.read(snapshot.transaction, tenant, ids, parts)
        return [
            Hit(
                session=one.session,
                message=one.message,
                content=contents.get((one.message.id, one.message.part)),
            )
            for one in hits
        ]


# -- Statements ----------------------------------------------------------------

_SQLITE = f"""
    SELECT d.id AS id, d.message_id AS message_id FROM (
        SELECT rowid AS number FROM search_index WHERE search_index MATCH :sqlite_words
            AND rowid > :oldest AND rowid <= :newest ORDER BY rowid DESC LIMIT {BLOCK_MATCHES_MAX}
    ) AS hits JOIN search_documents AS d ON d.id = hits.number
"""  # noqa: S608 - of constants only.
# The planner must not estimate how many rows match, nor walk along the primary key.
_POSTGRES = f"""
    SELECT id, message_id FROM (
        SELECT id, message_id FROM search_documents
        WHERE words @@ (SELECT CAST(CAST(:postgres_words AS text) AS tsquery))
            AND id + 0 > :oldest AND id + 0 <= :newest OFFSET 0
    ) AS hits ORDER BY id DESC LIMIT {BLOCK_MATCHES_MAX}
"""  # noqa: S608 - of constants only.


class _Queries:
    def __init__(self, log: EventStore) -> None:
        self._database = log.database
        dialect = self._dialect = log.database.dialect
        tenants = search_tenants
        its_tenant = tenants.c.tenant == bindparam("tenant")
        self.tenant = Query(select(tenants).where(its_tenant), dialect)
        source = sql(f"({_POSTGRES if dialect.name == 'postgresql' else _SQLITE}) AS found")
        columns: list[Any] = [column("id"), column("message_id")]
        self.matches = Query(select(*columns).select_from(source), dialect)
        asked, (asked_id,) = log.database.rows("ids", 1)
        same = and_(_messages.c.tenant == bindparam("tenant"), _messages.c.id == asked_id)
        messages = select(_messages).select_from(asked.join(_messages, same))
        self.messages = Query(messages, dialect)
        self._sessions: dict[tuple[Any, ...], Query] = {}

    def sessions(self, visible: VisibleSessions) -> Query:
        """Return the query for those of some sessions that a caller sees."""
        found = self._sessions.get(visible.shape)
        if found is None:
            if len(self._sessions) >= SHAPES_MAX:
                self._sessions.clear()
            asked, (asked_id,) = self._database.rows("ids", 1)
            is_asked = _sessions.c.id.in_(select(asked_id).select_from(asked))
            statement = EXISTING.where(is_asked, visible.condition)
            found = self._sessions[visible.shape] = Query(statement, self._dialect)
        return found
