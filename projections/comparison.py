"""Compare two copies of the projections row by row, with one page of each in memory.

* Both copies are read in the order of their primary keys.
* Two pages are compared up to the smaller of their last keys; the next pages start after that key.
  A row that one copy lacks is therefore reported once, and the other rows stay aligned.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, Integer, Table, bindparam, select, tuple_
from sqlalchemy.engine import Dialect

from quorate.domain.shared.records import record
from quorate.eventlog.transactions import DatabaseTransaction, Query, UnpackedQuery

ROWS_PER_PAGE = 2_000
DIFFERENCES_LISTED_MAX = 20
Side: TypeAlias = tuple[DatabaseTransaction, Dialect]
Key: TypeAlias = tuple[Any, ...]


@record
class Difference:
    """A cell that differs, or a row that one side lacks.

    For a missing row, ``column`` is None and the side that lacks it is None.
    """

    table: str
    key: Mapping[str, Any]
    column: str | None
    live: Any
    rebuilt: Any


class Differences:
    """All differences are counted; the first DIFFERENCES_LISTED_MAX are listed."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[Difference] = []

    def add(self, difference: Difference) -> None:
        self.count += 1
        if self.count <= DIFFERENCES_LISTED_MAX:
            self.listed.append(difference)


async def compare(live: Side, rebuilt: Side, tables: Sequence[Table]) -> Differences:
    found = Differences()
    for table in tables:
        await _TableComparison(table, found).compare(live, rebuilt)
    return found


def _lowest_key(column: Column[Any]) -> str | int:
    """Return a value below every key: text keys are never empty, sequences start at one."""
    return 0 if isinstance(column.type, Integer) else ""


def _sort_key(key: Key) -> tuple[tuple[bool, Any], ...]:
    """Sort like SQLite, where a manual edit may leave any type in a key: numbers before text."""
    return tuple((isinstance(cell, str), cell) for cell in key)


class _TableComparison:
    def __init__(self, table: Table, found: Differences) -> None:
        self._table = table
        self._found = found
        self._key = [str(column.name) for column in table.primary_key]
        self._columns = [str(column.name) for column in table.columns]

    async def compare(self, live: Side, rebuilt: Side) -> None:
        live_query, rebuilt_query = self._query(live[1]), self._query(rebuilt[1])
        after: Key | None = tuple(map(_lowest_key, self._table.primary_key))
        while after is not None:
            values = {"limit": ROWS_PER_PAGE, **dict(zip(self._key, after, strict=True))}
            live_rows = await live[0].fetch(live_query, values)
            rebuilt_rows = await rebuilt[0].fetch(rebuilt_query, values)
            after = self._compare(live_rows, rebuilt_rows)

    def _query(self, dialect: Dialect) -> Query:
        keys = [self._table.c[name] for name in self._key]
        later = tuple_(*keys) > tuple_(*(bindparam(key.name, type_=key.type) for key in keys))
        page = select(self._table).where(later).order_by(*keys).limit(bindparam("limit"))
        return UnpackedQuery(page, dialect)

    def _compare(self, live: Sequence[Any], rebuilt: Sequence[Any]) -> Key | None:
        """Compare the keys that both pages cover.

        Return the last key compared, or None when both tables are read to the end.
        """
        full = [page for page in (live, rebuilt) if len(page) == ROWS_PER_PAGE]
        until = min((self._key_of(page[-1]) for page in full), default=None, key=_sort_key)
        if live != rebuilt:
            in_live, in_rebuilt = self._by_key(live, until), self._by_key(rebuilt, until)
            for key in sorted({*in_live, *in_rebuilt}, key=_sort_key):
                self._compare_row(key, in_live.get(key), in_rebuilt.get(key))
        return until

    def _key_of(self, row: Any) -> Key:  # noqa: ANN401 - a row of any table.
        return tuple(getattr(row, name) for name in self._key)

    def _by_key(self, page: Sequence[Any], until: Key | None) -> dict[Key, Any]:
        keyed = ((self._key_of(row), row) for row in page)
        return {
            key: row for key, row in keyed if until is None or _sort_key(key) <= _sort_key(until)
        }

    def _compare_row(self, key: Key, live: Any, rebuilt: Any) -> None:  # noqa: ANN401 - rows.
        if live is None or rebuilt is None:
            self._add(key, None, self._as_dict(live), self._as_dict(rebuilt))
            return
        for column, live_cell, rebuilt_cell in zip(self._columns, live, rebuilt, strict=True):
            if live_cell != rebuilt_cell:
                self._add(key, column, live_cell, rebuilt_cell)

    def _as_dict(self, row: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a row of any table.
        return None if row is None else dict(zip(self._columns, row, strict=True))

    def _add(self, key: Key, column: str | None, live: Any, rebuilt: Any) -> None:  # noqa: ANN401
        self._found.add(
            Difference(
                table=self._table.name,
                key=dict(zip(self._key, key, strict=True)),
                column=column,
                live=live,
                rebuilt=rebuilt,
            )
        )
