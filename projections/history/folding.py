"""Fold events into versions of rows, a bounded part of the log at a time.

* Each event changes the state by the same ``apply`` as in the transaction that appended it, and
  the read models say which rows it changed. The rules exist once.
* Only the instances that a part of the log touches are loaded: their newest versions, by the ids
  in its events. So memory does not grow with the number of instances.
* A part is folded outside the transaction that stores it. It is stored only if the history still
  ends where the part begins, so two processes that follow the log at once do no harm.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from sqlalchemy import Table, and_, bindparam, insert, not_, select, update

from quorate.domain.registry import SCHEMA, new_state
from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.records import record
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.serialization import event_of, upcast_data
from quorate.eventlog.tables import events
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query, UnpackedQuery
from quorate.projections.history.nodes import OPEN, node_of
from quorate.projections.history.tables import HISTORY, PROGRESS_ID, is_open, progress
from quorate.projections.metadata import Values
from quorate.projections.registry import REPOSITORIES
from quorate.projections.repository import Put, Repository, matching
from quorate.projections.state_store import upsert

Rows: TypeAlias = Sequence[Any]
Key: TypeAlias = tuple[Any, ...]
_REPOSITORIES = {repository.aggregate: repository for repository in REPOSITORIES}
_BATCH_BYTES_MAX = 1024 * 1024  # Of events that are folded together.


@record
class Progress:
    """The position of the last event in the history, and the first moment in it."""

    position: int
    first_position: int


@record
class Part:
    """The versions that result from the events after one position, up to another."""

    after: int
    until: int
    ended: Mapping[Any, Sequence[Values]]  # By the table of the history.
    open: Mapping[Any, Sequence[Values]]


class HistoryIncomplete(Exception):
    """Events that the history lacks are no longer in the log: it must begin again."""


class _Version:
    """The newest version of a row."""

    __slots__ = ("from_position", "is_removed", "values")

    def __init__(self, values: Values, from_position: int) -> None:
        self.values = values
        self.from_position = from_position
        self.is_removed = False


class _Versions:
    """The versions of one table."""

    def __init__(self, table: Any) -> None:  # noqa: ANN401 - a table.
        names = [column.name for column in table.columns]
        self._columns = len(names)
        self._key = [names.index(column.name) for column in table.primary_key]
        self._newest: dict[Key, _Version] = {}
        self._changed: dict[Key, _Version] = {}
        self.ended: list[Values] = []

    def load(self, rows: Rows) -> None:
        for row in rows:
            values = tuple(row[: self._columns])
            self._newest[self._key_of(values)] = _Version(values, row.from_position)

    def put(self, values: Values, position: int) -> None:
        key = self._key_of(values)
        newest = self._newest.get(key)
        if newest is not None and not newest.is_removed:
            if newest.values == values:
                return
            self._end(newest, position)
        self._newest[key] = self._changed[key] = _Version(values, position)

    def remove(self, key: Key, position: int) -> None:
        newest = self._newest.get(key)
        if newest is None or newest.is_removed:
            return
        self._end(newest, position)
        removed = self._newest[key] = self._changed[key] = _Version(newest.values, position)
        removed.is_removed = True

    @property
    def open(self) -> list[Values]:
        return [
            (*one.values, one.from_position, OPEN, OPEN, one.is_removed)
            for one in self._changed.values()
        ]

    def _end(self, version: _Version, until: int) -> None:
        first = version.from_position
        if first < until:
            self.ended.append((*version.values, first, until, node_of(first, until), False))

    def _key_of(self, values: Values) -> Key:
        return tuple([values[index] for index in self._key])


class HistoryFolder:
    """Reads a part of the log, folds it, and stores the versions of rows that result.

    ``position``: of the last event in the history, as it was last read or stored here.
    """

    def __init__(self, database: Database) -> None:
        self.position = 0
        dialect = database.dialect
        self._database = database
        page = select(
            *(events.c.position, events.c.tenant, events.c.sequence),
            *(events.c.type, events.c.version, events.c.at, events.c.data),
        ).where(events.c.position > bindparam("after"))
        page = page.order_by(events.c.position).limit(bindparam("limit"))
        self._page = UnpackedQuery(page, dialect)
        self._progress = Query(select(progress), dialect)
        self._loads: dict[Any, Sequence[tuple[Any, Query, Put]]] = {}  # By aggregate.
        self._ends: dict[Any, Query] = {}  # By the table of the history.
        self._opens: dict[Any, Query] = {}
        moved = update(progress).where(
            progress.c.id == PROGRESS_ID, progress.c.position == bindparam("after")
        )
        self._move = Query(moved.values(position=bindparam("until")), dialect)

    async def progress(self, transaction: DatabaseTransaction) -> Progress:
        (row,) = await transaction.fetch(self._progress, {})
        return Progress(position=row.position, first_position=row.first_position)

    async def read_part(self, limit: int) -> Part | None:
        """Fold the next events, at most ``limit``; return None when there are none.

        Raise HistoryIncomplete if they were archived.
        """
        async with self._database.read() as transaction:
            after = self.position = (await self.progress(transaction)).position
            page = await transaction.fetch(self._page, {"after": after, "limit": limit})
            if not page:
                return None
            if page[-1].position != after + len(page):
                raise HistoryIncomplete
            fold = _Fold(_within(page))
            await transaction.look_up([*self._lookups(fold)])
        fold.run()
        return fold.part(after)

    def _lookups(self, fold: "_Fold") -> Iterator[Lookup]:
        for aggregate, keys in fold.touched.items():
            asked = {"asked": orjson.dumps(list(keys)).decode()}
            for table, query, put in self._loads_of(aggregate):
                yield Lookup(query=query, values=asked, take=fold.loader(table, put))

    async def store(self, transaction: DatabaseTransaction, part: Part) -> bool:
        """Store a part; return False if the history does not end where the part begins."""
        if (await self.progress(transaction)).position != part.after:
            return False
        for table, rows in part.ended.items():
            if rows:
                await transaction.write(self._end_of(table), rows)
        for table, rows in part.open.items():
            if rows:
                await transaction.write(self._open_of(table), rows)
        moved = {"after": part.after, "until": part.until}
        await transaction.write(self._move, [self._move.bind(moved)])
        return True

    # -- Statements, compiled when they are needed: a start does not wait for them -------------

    def _loads_of(self, aggregate: Aggregate[Any]) -> Sequence[tuple[Any, Query, Put]]:
        if aggregate not in self._loads:
            self._loads[aggregate] = _loads(self._database, _REPOSITORIES[aggregate])
        return self._loads[aggregate]

    def _end_of(self, table: Table) -> Query:
        if table not in self._ends:
            self._ends[table] = Query(insert(table), self._database.dialect)
        return self._ends[table]

    def _open_of(self, table: Table) -> Query:
        if table not in self._opens:
            dialect = self._database.dialect
            self._opens[table] = Query(upsert(table, dialect.name), dialect)
        return self._opens[table]


def _within(page: Rows) -> Rows:
    """Return the first events that are folded together."""
    size = 0
    for index, row in enumerate(page):
        size += len(row.data)
        if index and size > _BATCH_BYTES_MAX:
            return page[:index]
    return page


def _loads(database: Database, repository: Repository[Any]) -> Sequence[tuple[Any, Query, Put]]:
    """Return the queries for the newest versions of instances, and of their parts, by id."""
    (by_id,) = (find for find in repository.finds if find.index == "id")
    tenant = tuple(repository.tenant_columns) or (repository.table.c.tenant,)
    history = HISTORY[repository.table]
    columns = [history.c[one.name] for one in (*tenant, *by_id.columns)]
    is_newest = and_(is_open(history), not_(history.c.is_removed))
    query = matching(database, history, select(history), columns, is_newest)
    found: list[tuple[Any, Query, Put]] = [(repository.table, query, repository.put)]
    if (parts := repository.parts) is not None:
        history = HISTORY[parts.table]
        columns = [history.c[column.name] for column in list(parts.table.primary_key)[:2]]
        query = matching(database, history, select(history), columns, is_open(history))
        found.append((parts.table, query, repository.put_parts))
    return found


class _Fold:
    """The state that some events touch, and the versions of rows that they make."""

    def __init__(self, page: Rows) -> None:
        self._page = [
            (row, event_of(row.type, upcast_data(row.type, row.version, row.data))) for row in page
        ]
        self._states: dict[str, TenantState] = {}
        self._versions: dict[Any, _Versions] = {}
        # The keys of the instances, by aggregate.
        self.touched: dict[Aggregate[Any], dict[Key, None]] = {}
        for row, event in self._page:
            self._states.setdefault(row.tenant, new_state())
            for aggregate, id_of, *_ in SCHEMA.effects[type(event)]:
                id_ = id_of(event)
                if id_ is not None and aggregate in _REPOSITORIES:
                    # A tenant is found by its own id.
                    is_tenant = bool(_REPOSITORIES[aggregate].tenant_columns)
                    key = (row.tenant,) if is_tenant else (row.tenant, id_)
                    self.touched.setdefault(aggregate, {})[key] = None

    def loader(self, table: Any, put: Put) -> Any:  # noqa: ANN401 - takes rows of a table.
        def take(rows: Rows) -> None:
            put(self._states, rows)
            self._of(table).load(rows)

        return take

    def run(self) -> None:
        for row, event in self._page:
            state = self._states[row.tenant]
            state.apply(event, Timestamp(row.at))
            for aggregate in dict.fromkeys([one[0] for one in SCHEMA.effects[type(event)]]):
                repository = _REPOSITORIES.get(aggregate)
                if repository is not None:
                    self._note(repository, row.tenant, state, row.position)

    def _note(
        self, repository: Repository[Any], tenant: str, state: TenantState, position: int
    ) -> None:
        """Note the rows that changed with the event at this position."""
        store = state[repository.aggregate]
        if not store.changed:
            return
        for key in repository.removed_keys(tenant, state):
            self._of(repository.table).remove(key, position)
        for table, rows in repository.changes(tenant, state):
            versions = self._of(table)
            for values in rows:
                versions.put(values, position)
        store.changed.clear()
        store.changed_parts.clear()

    def _of(self, table: Any) -> _Versions:  # noqa: ANN401 - a table.
        versions = self._versions.get(table)
        if versions is None:
            versions = self._versions[table] = _Versions(table)
        return versions

    def part(self, after: int) -> Part:
        return Part(
            after=after,
            until=self._page[-1][0].position,
            ended={HISTORY[table]: one.ended for table, one in self._versions.items()},
            open={HISTORY[table]: one.open for table, one in self._versions.items()},
        )
