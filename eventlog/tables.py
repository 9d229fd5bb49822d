"""Tables of the event log: events, archive files, responses to commands, contents, and the clock.

* Events are append-only; triggers in the database enforce it.
* Archived events may be deleted (eventlog/archive/archiver.py), except each tenant's last one, from
  which the hash chain continues.
* Responses (table ``answers``) are committed in the same transaction as the events they report.
"""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.types import TypeEngine

from quorate.eventlog.append_only import append_only

metadata = MetaData()


def text(length: int | None = None) -> TypeEngine[Any]:
    """Return a text type that is compared and sorted by bytes, for any locale of the database."""
    if length is None:
        return Text().with_variant(Text(collation="C"), "postgresql")
    return String(length).with_variant(String(length, collation="C"), "postgresql")


# A later event of the same tenant was archived as well.
_ARCHIVED_BUT_NOT_LAST = (
    "EXISTS (SELECT 1 FROM events AS later WHERE later.tenant = OLD.tenant"
    " AND later.sequence > OLD.sequence"
    " AND later.position <= (SELECT max(last_position) FROM archives))"
)

events = append_only(
    Table(
        "events",
        metadata,
        Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("tenant", text(64), nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("id", text(36), nullable=False),
        Column("stream", text(), nullable=False),
        Column("type", text(64), nullable=False),
        Column("version", Integer, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("actor", text(64), nullable=False),
        Column("command_id", text(36), nullable=False),
        Column("data", text(), nullable=False),
        Column("hash", LargeBinary(32), nullable=False),
        Index("events_by_tenant", "tenant", "sequence", unique=True),
    ),
    deletable=_ARCHIVED_BUT_NOT_LAST,
)

# The archive files in their order; they contain the events that are no longer in ``events``.
archives = append_only(
    Table(
        "archives",
        metadata,
        Column(
            "last_position",
            BigInteger().with_variant(Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        Column("first_position", BigInteger, nullable=False),
        Column("file", text(255), nullable=False),
        Column("sha256", text(64), nullable=False),
        Column("archived_at", BigInteger, nullable=False),
    )
)

# One row: the random id of this log. It is created with the tables, so a log that is restored from
# a backup has another one, and callers notice that their cursors are of another log.
identity = Table(
    "log_identity",
    metadata,
    Column("id", text(32), primary_key=True),
    sqlite_with_rowid=False,
)

answers = Table(
    "answers",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("caller", text(64), primary_key=True),
    Column("command", text(64), primary_key=True),
    Column("key", text(256), primary_key=True),
    Column("fingerprint", LargeBinary(33), nullable=False),  # A version, and a SHA-256.
    Column("code", text(64)),  # Of the rejection; null when the command was accepted.
    Column("body", text(), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("answers_by_age", "at"),
    sqlite_with_rowid=False,
)

# Contents beside the log (domain/shared/contents.py): written with the event that refers to them,
# deleted with the event that erases them, never changed. No WITHOUT ROWID: bodies are large.
message_bodies = Table(
    "message_bodies",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("message_id", text(64), primary_key=True),
    Column("part", text(64), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# The search index of the contents (projections/search_index.py): derived, but not from events.
# Messages that are to be indexed; written with their contents, deleted when they are indexed.
unindexed_messages = Table(
    "unindexed_messages",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("message_id", text(64), primary_key=True),
    sqlite_with_rowid=False,
)

# The words of a tenant are stored as hashes under its key. Its documents have the ids
# ``number << 40`` to ``number << 40 | sequence``.
search_tenants = Table(
    "search_tenants",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("key", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

search_documents = Table(
    "search_documents",
    metadata,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    Column("tenant", text(64), nullable=False),
    Column("message_id", text(64), nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("subject_words", text(), nullable=False),
    Column("frequent_words", text(), nullable=False),
    Column("words", TSVECTOR().with_variant(Text(), "sqlite"), nullable=False),
    Index("search_documents_by_message", "tenant", "message_id", unique=True),
    Index("search_documents_by_time", "tenant", "sent_at", "id"),
    # Without a list of pending entries, which a later insert would have to move all at once.
    Index(
        "search_documents_words",
        "words",
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    ).ddl_if(dialect="postgresql"),
)

# SQLite has full-text indexes as tables of their own; triggers maintain this one. It has no text of
# its own, no positions and no sizes.
SQLITE_SEARCH_INDEX = (
    """
    CREATE VIRTUAL TABLE search_index USING fts5(words, content='search_documents',
        content_rowid='id', detail=none, columnsize=0, tokenize='ascii')
    """,
    """
    CREATE TRIGGER search_documents_added AFTER INSERT ON search_documents BEGIN
        INSERT INTO search_index(rowid, words) VALUES (NEW.id, NEW.words);
    END
    """,
    """
    CREATE TRIGGER search_documents_removed AFTER DELETE ON search_documents BEGIN
        INSERT INTO search_index(search_index, rowid, words)
        VALUES ('delete', OLD.id, OLD.words);
    END
    """,
)
for _statement in SQLITE_SEARCH_INDEX:
    _definition = DDL(_statement).execute_if(dialect="sqlite")  # type: ignore[no-untyped-call]
    event.listen(search_documents, "after_create", _definition)

# Sessions and login links of the console (application/console_sessions.py). Only hashes of their
# secrets are stored. Backups leave them out: after a restore, operators log in again.
console_sessions = Table(
    "console_sessions",
    metadata,
    Column("secret_hash", text(64), primary_key=True),
    Column("kind", text(16), nullable=False),  # "session" or "link".
    Column("key_id", text(64), nullable=False),
    Column("tenant", text(64), nullable=False),  # That an admin key picked, or of the key.
    Column("ends_at", BigInteger, nullable=False),
    Index("console_sessions_by_end", "ends_at"),
    Index("console_sessions_of_key", "key_id", "ends_at"),
    sqlite_with_rowid=False,
)

# At most one row (eventlog/shared_clock.py).
clock_corrections = Table(
    "clock_corrections",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("wall", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
