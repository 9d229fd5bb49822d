"""The tables of the log: events, and the answers that were given to commands with a key.

Events are only ever added; the database itself refuses anything else (see the back end's
``append_only``). Answers are committed in the same transaction as the events that they report.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("id", String(36), nullable=False),
    Column("stream", Text, nullable=False),
    Column("type", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("command_id", String(36), nullable=False),
    Column("data", Text, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Index("events_by_tenant", "tenant", "sequence", unique=True),
)

answers = Table(
    "answers",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("caller", String(64), primary_key=True),
    Column("command", String(64), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("code", String(64)),  # Of the refusal; null when the command was carried out.
    Column("body", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("answers_by_age", "at"),
    sqlite_with_rowid=False,
)
