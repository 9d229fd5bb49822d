"""Search a mailbox: the best match first, in blocks of its newest matches.

* A block is the newest BLOCK_MATCHES_MAX messages of the mailbox that match, before a sequence. It
  is sorted by rank; the next block has older messages. So a search costs the same for any number
  of matches, and every match is found on some page.
* The rank of a message depends on this message alone: how many words its subject contains, and how
  many are frequent in its body. No message of another mailbox or tenant has an effect on it.
* The index says who received and sent a message; the read models say who still has it.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import bindparam, column, select
from sqlalchemy import text as sql
from sqlalchemy.engine import Dialect

from quorate.domain.shared.records import changed, record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import search_documents, search_tenants
from quorate.eventlog.transactions import Query
from quorate.projections.inverted_index import InvertedIndex
from quorate.projections.search_index import SearchTenant, owner_hash, sequence_of
from quorate.projections.snapshots import QueryResult, Snapshot, open_snapshot

BLOCK_MATCHES_MAX = 250
BLOCKS_MAX = 4  # In one search; those of deleted messages yield nothing.
# PostgreSQL cannot read an inverted index in an order. A search reads the newest messages of the
# mailbox first, and then that many matches of the index.
RECENT_MESSAGES_MAX = 1_000
INDEX_MATCHES_MAX = 5_000
SUBJECT_WEIGHT = 4
FREQUENT_WEIGHT = 1


@record
class Place:
    """A place in a search: the newest sequence of a block, and the match before it.

    The first match of a block has no match before it.
    """

    newest: int
    rank: int | None = None
    sequence: int = 0

    def is_before(self, rank: int, sequence: int) -> bool:
        return self.rank is None or (rank, sequence) < (self.rank, self.sequence)


@record
class Match:
    message_id: str
    place: Place  # The search continues after it.


@record
class Matches:
    """``following`` is where the search continues after all of them, or None."""

    matches: Sequence[Match]
    following: Place | None


@record
class SearchFilter:
    words: Sequence[str]
    from_address: str | None = None
    to_address: str | None = None
    kind: str | None = None
    after: Timestamp | None = None
    before: Timestamp | None = None


@record
class _Block:
    """Rows of one block, and the newest sequence of the next one (None if there is none)."""

    rows: Sequence[Any]
    next: int | None


class MailSearch:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        dialect = log.database.dialect
        self._queries = _Queries(dialect)
        self._index = InvertedIndex(dialect)
        self._read_block = (
            self._postgres_block if dialect.name == "postgresql" else self._sqlite_block
        )

    async def search(
        self, tenant: str, agent_id: str, filters: SearchFilter, after: Place | None, limit: int
    ) -> QueryResult[Matches]:
        """Return up to ``limit`` matches that follow the place ``after``."""
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            nothing = snapshot.result(Matches(matches=(), following=None))
            rows = await snapshot.rows(self._queries.tenant, {"tenant": tenant})
            if not rows or not filters.words:
                return nothing
            its = SearchTenant(number=rows[0].number, key=bytes(rows[0].key))
            place = after or Place(newest=nothing.sequence)
            found = _Search(its, tenant, agent_id, filters)
            oldest, newest = await self._range(snapshot, found, place.newest)
            matches: list[Match] = []
            for _ in range(BLOCKS_MAX):
                block = await self._read_block(snapshot, found.values(oldest, newest))
                matches += found.ranked(block.rows, changed(place, newest=newest))
                if block.next is None:
                    following = None
                    break
                newest = block.next
                following = place = Place(newest=newest)
                if len(matches) >= limit:
                    break
            if len(matches) > limit:
                following = matches[limit - 1].place
            return snapshot.result(Matches(matches=matches[:limit], following=following))

    async def _range(self, snapshot: Snapshot, found: "_Search", newest: int) -> tuple[int, int]:
        """Return the bounds of sequences that follow from those of the time."""
        oldest = 0
        for at, is_lower in ((found.filters.after, True), (found.filters.before, False)):
            if at is None:
                continue
            values = {"tenant": found.tenant, "at": at}
            rows = await snapshot.rows(self._queries.last_before, values)
            last = sequence_of(rows[0].id) if rows else 0
            if is_lower:
                oldest = last
            else:
                newest = min(newest, last)
        return oldest, newest

    async def _sqlite_block(self, snapshot: Snapshot, values: dict[str, Any]) -> _Block:
        return _block(await self._index.rows(snapshot, self._queries.matches, values))

    async def _postgres_block(self, snapshot: Snapshot, values: dict[str, Any]) -> _Block:
        ((oldest, count),) = await snapshot.rows(self._queries.recent, values)
        if not count:
            return _Block(rows=(), next=None)
        rows = list(await snapshot.rows(self._queries.recent_matches, values))
        if len(rows) < BLOCK_MATCHES_MAX and count == RECENT_MESSAGES_MAX:
            older = {**values, "newest": values["base"] + oldest - 1}
            rows += await self._index.rows(snapshot, self._queries.matches, older)
        return _block(rows[:BLOCK_MATCHES_MAX])


def _block(found: Sequence[Any]) -> _Block:
    rows = sorted(found, key=attrgetter("id"), reverse=True)
    is_full = len(rows) == BLOCK_MATCHES_MAX
    return _Block(rows=rows, next=sequence_of(rows[-1].id) - 1 if is_full else None)


class _Search:
    """One search: the hashes of its words, and the ranks of its matches."""

    def __init__(
        self, its: SearchTenant, tenant: str, agent_id: str, filters: SearchFilter
    ) -> None:
        self.tenant = tenant
        self.filters = filters
        self._its = its
        self._agent_id = agent_id
        self._words = [its.hash_of("word", word) for word in filters.words]
        labels = [("from", filters.from_address), ("to", filters.to_address)]
        self._all = [
            owner_hash(its, agent_id),
            *(its.hash_of(kind, value.lower()) for kind, value in labels if value is not None),
            *([] if filters.kind is None else [its.hash_of("kind", filters.kind)]),
            *self._words,
        ]

    def values(self, oldest: int, newest: int) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "agent_id": self._agent_id,
            "sqlite_words": " AND ".join([f'"{one}"' for one in self._all]),
            "postgres_words": " & ".join(self._all),
            "base": self._its.document_id(0),
            "oldest": self._its.document_id(oldest),
            "newest": self._its.document_id(newest),
            "after_sequence": oldest,
            "last_sequence": newest,
        }

    def ranked(self, rows: Sequence[Any], after: Place) -> Sequence[Match]:
        """Return the matches of a block that follow ``after``, the best and newest first."""
        ranks = [(self._rank(row), sequence_of(row.id), row.message_id) for row in rows if row.kept]
        return [
            Match(
                message_id=message_id,
                place=Place(newest=after.newest, rank=rank, sequence=sequence),
            )
            for rank, sequence, message_id in sorted(ranks, reverse=True)
            if after.is_before(rank, sequence)
        ]

    def _rank(self, row: Any) -> int:  # noqa: ANN401 - a row of the index.
        subject, frequent = row.subject_words, row.frequent_words
        return sum(
            [
                SUBJECT_WEIGHT * (word in subject) + FREQUENT_WEIGHT * (word in frequent)
                for word in self._words
            ]
        )


# -- Statements ----------------------------------------------------------------

_FOUND = """
SELECT found.id AS id, found.message_id AS message_id, found.subject_words AS subject_words,
    found.frequent_words AS frequent_words,
    (e.message_id IS NOT NULL OR (m.sender_id = :agent_id AND NOT m.is_deleted_by_sender)) AS kept
"""
_MAILBOX = """
LEFT JOIN messages AS m ON m.tenant = :tenant AND m.id = found.message_id
LEFT JOIN mail_entries AS e ON e.tenant = :tenant AND e.agent_id = :agent_id
    AND e.sequence = m.sequence AND e.deleted_at IS NULL
ORDER BY found.id DESC
"""
_SQLITE = f"""{_FOUND} FROM (
    SELECT d.* FROM (
        SELECT rowid AS number FROM search_index WHERE search_index MATCH :sqlite_words
            AND rowid > :oldest AND rowid <= :newest ORDER BY rowid DESC LIMIT {BLOCK_MATCHES_MAX}
    ) AS hits JOIN search_documents AS d ON d.id = hits.number
) AS found {_MAILBOX}"""  # noqa: S608 - of constants only.

# The planner must not estimate how many rows match, nor walk along the primary key.
_TSQUERY = "(SELECT CAST(CAST(:postgres_words AS text) AS tsquery))"
_POSTGRES = f"""{_FOUND} FROM (
    SELECT * FROM (
        SELECT id, message_id, subject_words, frequent_words FROM search_documents
        WHERE words @@ {_TSQUERY} AND id + 0 > :oldest AND id + 0 <= :newest
        LIMIT {INDEX_MATCHES_MAX}
    ) AS hits ORDER BY id DESC LIMIT {BLOCK_MATCHES_MAX}
) AS found {_MAILBOX}"""  # noqa: S608 - of constants only.
_RECENT = f"""
    SELECT sequence FROM (
        (SELECT sequence FROM mail_entries WHERE tenant = :tenant AND agent_id = :agent_id
            AND deleted_at IS NULL AND sequence > :after_sequence AND sequence <= :last_sequence
            ORDER BY sequence DESC LIMIT {RECENT_MESSAGES_MAX})
        UNION
        (SELECT sequence FROM messages WHERE tenant = :tenant AND sender_id = :agent_id
            AND sender_id IS NOT NULL AND NOT is_deleted_by_sender
            AND sequence > :after_sequence AND sequence <= :last_sequence
            ORDER BY sequence DESC LIMIT {RECENT_MESSAGES_MAX})
    ) AS owned ORDER BY sequence DESC LIMIT {RECENT_MESSAGES_MAX}
"""  # noqa: S608 - of constants only.
_RECENT_MATCHES = f"""{_FOUND} FROM (
    SELECT d.id, d.message_id, d.subject_words, d.frequent_words
    FROM ({_RECENT}) AS recent CROSS JOIN LATERAL (
        SELECT * FROM search_documents WHERE id = :base + recent.sequence OFFSET 0
    ) AS d WHERE d.words @@ {_TSQUERY} ORDER BY d.id DESC LIMIT {BLOCK_MATCHES_MAX}
) AS found {_MAILBOX}"""  # noqa: S608 - of constants only.


class _Queries:
    def __init__(self, dialect: Dialect) -> None:
        tenants, documents = search_tenants, search_documents.c
        its_tenant = tenants.c.tenant == bindparam("tenant")
        self.tenant = Query(select(tenants).where(its_tenant), dialect)
        before = select(documents.id).where(
            documents.tenant == bindparam("tenant"), documents.sent_at < bindparam("at")
        )
        latest = before.order_by(documents.sent_at.desc(), documents.id.desc()).limit(1)
        self.last_before = Query(latest, dialect)
        names = ("id", "message_id", "subject_words", "frequent_words", "kept")
        if dialect.name == "postgresql":
            self.matches = _written_out(_POSTGRES, names, dialect)
            self.recent_matches = _written_out(_RECENT_MATCHES, names, dialect)
            bounds = f"SELECT min(sequence) AS oldest, count(*) AS count FROM ({_RECENT}) AS recent"  # noqa: S608 - constant.
            self.recent = _written_out(bounds, ("oldest", "count"), dialect)
        else:
            self.matches = _written_out(_SQLITE, names, dialect)


def _written_out(statement: str, names: Sequence[str], dialect: Dialect) -> Query:
    source = sql(f"({statement}) AS written_out")
    columns: list[Any] = [column(name) for name in names]
    return Query(select(*columns).select_from(source), dialect)
