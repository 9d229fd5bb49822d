"""Two copies of the projections compared row by row, with a page of each in memory.

Both are read in the order of their primary keys. Only the part of two pages that both have seen
in full is compared before the next ones are read, so a row that one of them lacks is found at
its place and the rest stays in step.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, Integer, Table, bindparam, select, tuple_
from sqlalchemy.engine import Dialect

from quorate.domain.shared.records import record
from quorate.eventlog.transactions import DatabaseTransaction, Query, UnpackedQuery

ROWS_PER_PAGE = 2_000
DIFFERENCES_NAMED_MAX = 20
Side: TypeAlias = tuple[DatabaseTransaction, Dialect]
Key: TypeAlias = tuple[Any, ...]


@record
class Difference:
    """One cell; or one row that a side lacks: then ``column`` is None, and a side too."""

    table: str
    key: Mapping[str, Any]
    column: str | None
    live: Any
    rebuilt: Any


class Differences:
    """All are counted, the first DIFFERENCES_NAMED_MAX are named."""

    def __init__(self) -> None:
        self.count = 0
        self.named: list[Difference] = []

    def add(self, found: Difference) -> None:
        self.count += 1
        if self.count <= DIFFERENCES_NAMED_MAX:
            self.named.append(found)


async def compare(live: Side, rebuilt: Side, tables: Sequence[Table]) -> Differences:
    found = Differences()
    for table in tables:
        await _Pages(table, found).compare(live, rebuilt)
    return found


def _before_all(column: Column[Any]) -> str | int:
    """Keys begin with text that is never empty; sequences begin with one."""
    return 0 if isinstance(column.type, Integer) else ""


def _place(key: Key) -> tuple[tuple[bool, Any], ...]:
    """As a database sorts whatever a hand has put there: numbers before text."""
    return tuple((isinstance(cell, str), cell) for cell in key)


class _Pages:
    def __init__(self, table: Table, found: Differences) -> None:
        self._table = table
        self._found = found
        self._key = [str(column.name) for column in table.primary_key]
        self._columns = [str(column.name) for column in table.columns]

    async def compare(self, live: Side, rebuilt: Side) -> None:
        in_use, anew = self._query(live[1]), self._query(rebuilt[1])
        after: Key | None = tuple(map(_before_all, self._table.primary_key))
        while after is not None:
            values = {"limit": ROWS_PER_PAGE, **dict(zip(self._key, after, strict=True))}
            ours = await live[0].fetch(in_use, values)
            theirs = await rebuilt[0].fetch(anew, values)
            after = self._compare(ours, theirs)

    def _query(self, dialect: Dialect) -> Query:
        keys = [self._table.c[name] for name in self._key]
        later = tuple_(*keys) > tuple_(*(bindparam(key.name, type_=key.type) for key in keys))
        page = select(self._table).where(later).order_by(*keys).limit(bindparam("limit"))
        return UnpackedQuery(page, dialect)

    def _compare(self, live: Sequence[Any], rebuilt: Sequence[Any]) -> Key | None:
        """Compare what both have seen in full; None when that was the end of both."""
        full = [page for page in (live, rebuilt) if len(page) == ROWS_PER_PAGE]
        until = min((self._key_of(page[-1]) for page in full), default=None, key=_place)
        if live != rebuilt:
            ours, theirs = self._by_key(live, until), self._by_key(rebuilt, until)
            for key in sorted({*ours, *theirs}, key=_place):
                self._compare_row(key, ours.get(key), theirs.get(key))
        return until

    def _key_of(self, row: Any) -> Key:  # noqa: ANN401 - a row of any table.
        return tuple(getattr(row, name) for name in self._key)

    def _by_key(self, page: Sequence[Any], until: Key | None) -> dict[Key, Any]:
        keyed = ((self._key_of(row), row) for row in page)
        return {key: row for key, row in keyed if until is None or _place(key) <= _place(until)}

    def _compare_row(self, key: Key, live: Any, rebuilt: Any) -> None:  # noqa: ANN401 - rows.
        if live is None or rebuilt is None:
            self._add(key, None, self._whole(live), self._whole(rebuilt))
            return
        for column, ours, theirs in zip(self._columns, live, rebuilt, strict=True):
            if ours != theirs:
                self._add(key, column, ours, theirs)

    def _whole(self, row: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a row of any table.
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
