"""Types of columns, and what else revisions say again and again.

A copy of what ``eventlog/tables.py`` says, on purpose: a revision must make tomorrow what it makes
today.
"""

from typing import Any

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy import text as sql
from sqlalchemy.types import TypeEngine


def text(length: int | None = None) -> TypeEngine[Any]:
    """Text that is compared and ordered by its bytes."""
    if length is None:
        return Text().with_variant(Text(collation="C"), "postgresql")
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def row_number() -> TypeEngine[Any]:
    """A whole number as the only column of a primary key: SQLite knows its rows by it."""
    return BigInteger().with_variant(Integer, "sqlite")


def only(condition: str) -> dict[str, Any]:
    """Of an index: the rows that it holds."""
    return {"sqlite_where": sql(condition), "postgresql_where": sql(condition)}
