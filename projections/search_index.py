"""The search index of messages: what it contains, and how messages are added to it.

* A message is marked in ``unindexed_messages`` in the transaction that stores its body, and indexed
  a moment later: sending does not wait for it, and no message is left out after a crash.
* A message is indexed once, in the transaction that removes its mark. Erasing a body removes both,
  so an erased text is never indexed.
* The index contains no text: each word is a hash under a random key of the tenant. So words of
  different tenants are never equal, and what SQLite or PostgreSQL keep of deleted rows for a while
  reveals nothing.
* The agents that have the message, its addresses and its kind are words as well. A search in a
  mailbox is therefore one lookup of several words.
"""

import secrets
from base64 import b32encode
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeAlias

import orjson
from sqlalchemy import (
    Connection,
    Delete,
    Insert,
    LargeBinary,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
)

from quorate.domain.mail.messages import HTML_PART, TEXT_PART, Message
from quorate.domain.sessions.session_messages import JSON_PART, SessionMessage
from quorate.domain.shared.records import record
from quorate.domain.shared.search_words import (
    INDEXED_BYTES_MAX,
    beginning,
    text_of_html,
    words_of,
)
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import (
    message_bodies,
    search_documents,
    search_tenants,
    unindexed_messages,
)
from quorate.eventlog.transactions import DatabaseTransaction, Query, UnpackedQuery
from quorate.projections.mail import mailboxes as entry_rows
from quorate.projections.mail import messages as message_rows
from quorate.projections.repository import matching
from quorate.projections.sessions import session_messages as session_message_rows

READ_MESSAGES_MAX = 32  # At once; their bodies are at most READ_MESSAGES_MAX * INDEXED_BYTES_MAX.
SEQUENCE_BITS = 40
KEY_BYTES = 32
HASHES_CACHED_MAX = 8_192  # Of the words that occur most, about 2 MB.
HASH_BYTES = 5  # Eight characters of base 32.
FREQUENT_COUNT = 3  # A word that occurs as often in a body makes it a better match.
FREQUENT_WORDS_MAX = 32

_entries, _messages = entry_rows.TABLE, message_rows.TABLE
Document: TypeAlias = Sequence[Any]  # A row of the index; its last column has all words.


@record
class SearchTenant:
    """The number of a tenant in the index, and its key."""

    number: int
    key: bytes

    def hash_of(self, kind: str, word: str) -> str:
        """Return the hash of a word; kinds keep words of messages and addresses apart."""
        return _hash_of(self.key, f"{kind} {word}")

    def document_id(self, sequence: int) -> int:
        return (self.number << SEQUENCE_BITS) | sequence


@lru_cache(maxsize=HASHES_CACHED_MAX)
def _hash_of(key: bytes, text: str) -> str:
    data = text.encode(errors="replace")
    return b32encode(blake2b(data, digest_size=HASH_BYTES, key=key).digest()).decode()


@record
class UnindexedMessage:
    """A message that is to be indexed; ``message`` is None if it is no message of an agent."""

    tenant: str
    message_id: str
    message: Message | SessionMessage | None
    agent_ids: tuple[str, ...]  # Who has it in a mailbox.
    text: str

    @property
    def bytes(self) -> int:
        return len(self.text)


def sequence_of(document_id: int) -> int:
    return document_id & ((1 << SEQUENCE_BITS) - 1)


def owner_hash(tenant: SearchTenant, agent_id: str) -> str:
    return tenant.hash_of("owner", agent_id)


def count_words(document: Document) -> int:
    """Return how many different words a document has, with its labels."""
    words: str = document[-1]
    return words.count(" ") + 1


def session_hash(tenant: SearchTenant) -> str:
    """Return the word that all messages of sessions have, and no mail."""
    return tenant.hash_of("kind", "session")


def make_document(tenant: SearchTenant, found: UnindexedMessage) -> Document:
    """Return the row of a message in the index."""
    message = found.message
    assert message is not None
    if isinstance(message, SessionMessage):
        return _make_session_document(tenant, found, message)
    subject = list(dict.fromkeys(words_of(message.subject)))
    counted = Counter(words_of(found.text))
    hashes = {word: tenant.hash_of("word", word) for word in (*subject, *counted)}
    frequent = [
        word for word, count in counted.most_common(FREQUENT_WORDS_MAX) if count >= FREQUENT_COUNT
    ]
    agents = {*found.agent_ids, *([message.sender_id] if message.sender_id else [])}
    labels = [owner_hash(tenant, one) for one in sorted(agents)]
    labels.append(tenant.hash_of("from", message.from_address.lower()))
    labels += [tenant.hash_of("to", one.lower()) for one in (*message.to, *message.cc)]
    if message.kind is not None:
        labels.append(tenant.hash_of("kind", message.kind))
    return (
        tenant.document_id(message.sequence),
        found.tenant,
        found.message_id,
        message.created_at,
        " ".join([hashes[word] for word in subject]),
        " ".join([hashes[word] for word in frequent]),
        " ".join(dict.fromkeys([*labels, *hashes.values()])),
    )


def _make_session_document(
    tenant: SearchTenant, found: UnindexedMessage, message: SessionMessage
) -> Sequence[Any]:
    words = [tenant.hash_of("word", word) for word in dict.fromkeys(words_of(found.text))]
    return (
        tenant.document_id(message.sequence),
        found.tenant,
        found.message_id,
        message.created_at,
        "",
        "",
        " ".join(dict.fromkeys([session_hash(tenant), *words])),
    )


def text_of(text: bytes | None, source: bytes | None) -> str:
    """Return the text that is indexed: the text of a message, or else that of its HTML."""
    found = beginning(text or b"")
    return found if found.strip() else text_of_html(beginning(source or b""))


class SearchIndex:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        database = log.database
        dialect = database.dialect
        marks = unindexed_messages
        key = (marks.c.tenant, marks.c.message_id)
        self._marked = Query(select(marks).order_by(*key).limit(bindparam("limit")), dialect)
        self._still_marked = matching(database, marks, select(marks), key)
        self._messages = matching(
            database, _messages, select(_messages), (_messages.c.tenant, _messages.c.id)
        )
        of_sessions = session_message_rows.TABLE
        self._session_messages = matching(
            database,
            of_sessions,
            select(of_sessions),
            (of_sessions.c.tenant, of_sessions.c.id),
        )
        owners = select(_entries.c.tenant, _entries.c.message_id, _entries.c.agent_id)
        self._owners = entry_rows.of_messages(database, owners)
        bodies = message_bodies
        rows, cells = database.rows("asked", 3)
        columns = (bodies.c.tenant, bodies.c.message_id, bodies.c.part)
        same = and_(*(column == cell for column, cell in zip(columns, cells, strict=True)))
        start = func.substr(bodies.c.body, 1, INDEXED_BYTES_MAX, type_=LargeBinary).label("start")
        self._bodies = UnpackedQuery(
            select(*columns, start).select_from(rows.join(bodies, same)), dialect
        )
        tenants = search_tenants
        self._tenants = Query(select(tenants), dialect)
        self._last_number = Query(select(func.max(tenants.c.number).label("number")), dialect)
        self._insert_tenant = Query(insert(tenants), dialect)
        self._insert = Query(insert(search_documents), dialect)
        self._unmark = Query(
            delete(marks).where(
                marks.c.tenant == bindparam("its_tenant"), marks.c.message_id == bindparam("its_id")
            ),
            dialect,
        )

    async def tenants(self) -> Mapping[str, SearchTenant]:
        """Return the tenants that have messages in the index."""
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._tenants, {})
        return {row.tenant: SearchTenant(number=row.number, key=bytes(row.key)) for row in rows}

    async def read_unindexed(self) -> Sequence[UnindexedMessage]:
        """Return some messages that are to be indexed, with the beginnings of their bodies."""
        async with self._log.read() as transaction:
            marked = await transaction.fetch(self._marked, {"limit": READ_MESSAGES_MAX})
            keys = [(row.tenant, row.message_id) for row in marked]
            if not keys:
                return ()
            asked = {"asked": orjson.dumps(keys).decode()}
            messages = {
                (row.tenant, row.id): message_rows.from_row(row)
                for row in await transaction.fetch(self._messages, asked)
            }
            of_sessions = {
                (row.tenant, row.id): session_message_rows.from_row(row)
                for row in await transaction.fetch(self._session_messages, asked)
            }
            owners: dict[tuple[str, str], list[str]] = {key: [] for key in keys}
            for row in await transaction.fetch(self._owners, asked):
                owners[row.tenant, row.message_id].append(row.agent_id)
            texts = await self._read_bodies(transaction, keys, TEXT_PART)
            json = [key for key, one in of_sessions.items() if one.part == JSON_PART]
            texts = {**texts, **await self._read_bodies(transaction, json, JSON_PART)}
            without = [key for key in keys if not texts.get(key, b"").strip()]
            sources = await self._read_bodies(transaction, without, HTML_PART)
        return [
            UnindexedMessage(
                tenant=key[0],
                message_id=key[1],
                message=messages.get(key) or of_sessions.get(key),
                agent_ids=tuple(owners[key]),
                text=text_of(texts.get(key), sources.get(key)),
            )
            for key in keys
        ]

    async def _read_bodies(
        self, transaction: DatabaseTransaction, keys: Sequence[tuple[str, str]], part: str
    ) -> Mapping[tuple[str, str], bytes]:
        asked = {"asked": orjson.dumps([(*key, part) for key in keys]).decode()}
        rows = await transaction.fetch(self._bodies, asked) if keys else ()
        return {(row.tenant, row.message_id): bytes(row.start or b"") for row in rows}

    async def add_tenants(self, transaction: DatabaseTransaction, names: Sequence[str]) -> None:
        """Give each tenant a number and a key, unless it has them."""
        known = {row.tenant for row in await transaction.fetch(self._tenants, {})}
        ((last,),) = await transaction.fetch(self._last_number, {})
        new = [name for name in dict.fromkeys(names) if name not in known]
        rows = [
            (name, number, secrets.token_bytes(KEY_BYTES))
            for number, name in enumerate(new, start=(last or 0) + 1)
        ]
        if rows:
            await transaction.write(self._insert_tenant, rows)

    async def add(
        self,
        transaction: DatabaseTransaction,
        keys: Sequence[tuple[str, str]],
        documents: Sequence[Document],
    ) -> None:
        """Add documents and remove the marks of ``keys``.

        Those without a mark were indexed by another process, or erased: they are left out.
        """
        asked = {"asked": orjson.dumps(list(keys)).decode()}
        rows = await transaction.fetch(self._still_marked, asked)
        marked = {(row.tenant, row.message_id) for row in rows}
        new = [one for one in documents if (one[1], one[2]) in marked]
        if new:
            await transaction.write(self._insert, new)
        if marked:
            values = [{"its_tenant": tenant, "its_id": id_} for tenant, id_ in sorted(marked)]
            await transaction.write(self._unmark, [self._unmark.bind(one) for one in values])


# The service then indexes the messages again.
INDEX_AGAIN: Sequence[Delete | Insert] = (
    *(delete(table) for table in (search_documents, search_tenants, unindexed_messages)),
    insert(unindexed_messages).from_select(
        ["tenant", "message_id"],
        select(message_bodies.c.tenant, message_bodies.c.message_id).distinct(),
    ),
)


def index_again(connection: Connection) -> None:
    """Empty the index and mark all messages that have a body."""
    for statement in INDEX_AGAIN:
        connection.execute(statement)
