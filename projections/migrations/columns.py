"""Column types and index options that revisions share.

They repeat definitions of ``eventlog/tables.py`` on purpose: the result of a revision must never
change.
"""

from typing import Any

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy import text as sql
from sqlalchemy.types import TypeEngine


def text(length: int | None = None) -> TypeEngine[Any]:
    """Return a text type that is compared and ordered by its bytes."""
    if length is None:
        return Text().with_variant(Text(collation="C"), "postgresql")
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def row_number() -> TypeEngine[Any]:
    """Return an integer type for a one-column primary key; in SQLite it is the rowid."""
    return BigInteger().with_variant(Integer, "sqlite")


def only(condition: str) -> dict[str, Any]:
    """Return the options of a partial index with this condition."""
    return {"sqlite_where": sql(condition), "postgresql_where": sql(condition)}
