"""Read the inverted index of words.

Readers of PostgreSQL plan without bitmap scans: every page is then read along an ordered index. An
inverted index can be read by a bitmap scan only. Without one, PostgreSQL tests every document of
every tenant, so bitmap scans are on for the statements that search words, and for no other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Dialect

from quorate.eventlog.transactions import Query
from quorate.projections.snapshots import Snapshot

_SETTING = "enable_bitmapscan"


class InvertedIndex:
    def __init__(self, dialect: Dialect) -> None:
        self._on, self._off = (_switch(dialect, value) for value in ("on", "off"))
        self._needs_switch = dialect.name == "postgresql"

    async def rows(
        self, snapshot: Snapshot, query: Query, values: Mapping[str, Any]
    ) -> Sequence[Any]:
        """Return the rows of a query that searches words."""
        if not self._needs_switch:
            return await snapshot.rows(query, values)
        await snapshot.rows(self._on, {})
        found = await snapshot.rows(query, values)
        await snapshot.rows(self._off, {})  # After an error, with the end of the transaction.
        return found


def _switch(dialect: Dialect, value: str) -> Query:
    return Query(select(func.set_config(_SETTING, value, True).label("value")), dialect)
