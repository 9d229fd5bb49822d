"""Declare read models: their tables, how rows map to states, and how rows are looked up.

* A ``ReadModel`` loads what commands read and stores what changed. The state store, replay, rebuild
  and the deadline scheduler are driven by the list in ``projections/registry.py``.
* A ``Repository`` is the read model of one aggregate. Its lookups have the names of the aggregate's
  indexes, so a command that reads ``lease.live_contact`` is answered by that lookup.
* Every statement is restricted to the tenants of its keys: the tenant is the first column compared.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from sqlalchemy import Column, ColumnElement, FromClause, Select, Table, and_, select

from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.state import Store, TenantState
from quorate.eventlog.database import Database
from quorate.eventlog.transactions import Query
from quorate.projections.metadata import Row, Values

S = TypeVar("S")
P = TypeVar("P")
States: TypeAlias = Mapping[str, TenantState]  # By tenant.
Put: TypeAlias = Callable[[States, Sequence[Row]], None]
TableRows: TypeAlias = Iterable[tuple[Table, list[Values]]]


@dataclass(frozen=True, eq=False, kw_only=True)
class LookupPlan:
    """The lookup for reads of one name: a query that takes any number of keys, and ``put``.

    ``put`` adds the rows to the states; ``brings`` names what the rows are. A read may have several
    plans: the read of a lease also loads its holder.
    """

    read: str
    brings: str
    query: Query
    put: Put


@dataclass(frozen=True, eq=False, kw_only=True)
class Due:
    """Rows that have a deadline, and its column. It passes at that time, or just after it."""

    at: Column[Any]
    where: ColumnElement[bool]
    is_inclusive: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Owned:
    """Rows that end with their owner: the condition on its id, and the tenant to compare."""

    is_of: Callable[[ColumnElement[str]], ColumnElement[bool]]
    tenant: ColumnElement[str]
    where: ColumnElement[bool]


class ReadModel(Protocol):
    """The interface of a read model for the state store and replay."""

    @property
    def tables(self) -> Sequence[Table]: ...

    def plans(self, database: Database) -> Sequence[LookupPlan]:
        """Return the lookups, compiled for a database, in the order in which rows are loaded."""

    def changes(self, tenant: str, state: TenantState) -> TableRows:
        """Return the rows that changed since the state was loaded."""

    def final(self, tenant: str, state: TenantState) -> TableRows:
        """Return the rows that no later event can change, and drop them from the state."""

    def all(self, tenant: str, state: TenantState) -> TableRows:
        """Return the rows of all instances in the state."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Find:
    """A lookup by one index: the columns that its key is compared with, after the tenant."""

    index: str
    columns: Sequence[ColumnElement[Any]]
    where: ColumnElement[bool] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts(Generic[S, P]):
    """Parts of an instance that have a table of their own, such as the votes on a proposal."""

    table: Table
    to_row: Callable[[str, P], Values]
    from_row: Callable[[Row], P]
    parts_of: Callable[[S], Mapping[str, P]]  # By the part's key.
    instance_id_of: Callable[[Row], str]  # The id of the instance.
    key_of: Callable[[Row], str]
    with_parts: Callable[[S, Mapping[str, P]], S]


@dataclass(frozen=True, eq=False, kw_only=True)
class Repository(Generic[S]):
    """The read model of one aggregate.

    * ``finds``: how its instances are looked up by key.
    * ``loads``: further lookups that a read of an index brings, made for a database.
    * ``store_first``: rows for which this is true are stored before the others.
    * ``is_removed``: instances that have no row any more.
    * ``due`` and ``owned``: the rows that the deadline scheduler looks for.
    """

    aggregate: Aggregate[S]
    table: Table
    to_row: Callable[[str, str, S], Values]  # Tenant, id, state.
    from_row: Callable[[Row], S]
    tenant_of: Callable[[Row], str] = attrgetter("tenant")
    id_of: Callable[[Row], str] = attrgetter("id")
    finds: Sequence[Find] = ()
    tenant_columns: Sequence[ColumnElement[Any]] = ()
    parts: Parts[S, Any] | None = None
    loads: Callable[["Repository[S]", Database], Sequence[LookupPlan]] | None = None
    store_first: Callable[[Values], bool] | None = None
    is_removed: Callable[[S], bool] | None = None
    due: Due | None = None
    owned: Owned | None = None

    @property
    def tables(self) -> Sequence[Table]:
        return (self.table,) if self.parts is None else (self.table, self.parts.table)

    # -- Loading -------------------------------------------------------------

    def plans(self, database: Database) -> Sequence[LookupPlan]:
        tenant = tuple(self.tenant_columns) or (self.table.c.tenant,)
        found = [
            self.plan(
                find.index,
                matching(
                    database, self.table, select(self.table), (*tenant, *find.columns), find.where
                ),
            )
            for find in self.finds
        ]
        return [*found, *(self.loads(self, database) if self.loads is not None else ())]

    def plan(self, index: str, query: Query) -> LookupPlan:
        """A lookup under a name of this aggregate whose rows are its instances."""
        name = self.aggregate.name
        return LookupPlan(read=f"{name}.{index}", brings=name, query=query, put=self.put)

    def put(self, states: States, found: Sequence[Row]) -> None:
        from_row, id_of, tenant_of = self.from_row, self.id_of, self.tenant_of
        stores: dict[str, Store[S]] = {}
        for row in found:
            tenant = tenant_of(row)
            store = stores.get(tenant)
            if store is None:
                store = stores[tenant] = states[tenant][self.aggregate]
            store.put(id_of(row), from_row(row))

    def put_parts(self, states: States, found: Sequence[Row]) -> None:
        parts = self.parts
        assert parts is not None
        by_instance: dict[tuple[str, str], dict[str, Any]] = {}
        for row in found:
            instance = (self.tenant_of(row), parts.instance_id_of(row))
            by_instance.setdefault(instance, {})[parts.key_of(row)] = parts.from_row(row)
        for (tenant, id_), loaded in by_instance.items():
            store = states[tenant][self.aggregate]
            state = store[id_]
            store.put(id_, parts.with_parts(state, {**parts.parts_of(state), **loaded}))

    # -- Storing -------------------------------------------------------------

    def changes(self, tenant: str, state: TenantState) -> TableRows:
        store = state[self.aggregate]
        yield self.table, self._kept(tenant, [(id_, store[id_]) for id_ in store.changed])
        if (parts := self.parts) is not None:
            changed = store.changed_parts
            yield (
                parts.table,
                [parts.to_row(tenant, parts.parts_of(store[id_])[key]) for id_, key in changed],
            )

    def removed_keys(self, tenant: str, state: TenantState) -> list[Values]:
        """Return the keys of the rows that must be deleted since the state was loaded."""
        if (is_removed := self.is_removed) is None:
            return []
        store = state[self.aggregate]
        return [(tenant, id_) for id_ in store.changed if is_removed(store[id_])]

    def final(self, tenant: str, state: TenantState) -> TableRows:
        store, is_final = state[self.aggregate], self.aggregate.is_final
        ended = [id_ for id_ in store.changed if is_final(store[id_])]
        yield from self._rows(tenant, [(id_, store[id_]) for id_ in ended])
        for id_ in ended:
            store.forget(id_)

    def all(self, tenant: str, state: TenantState) -> TableRows:
        yield from self._rows(tenant, state[self.aggregate].items())

    def _rows(self, tenant: str, items: Iterable[tuple[str, S]]) -> TableRows:
        items = list(items)
        yield self.table, self._kept(tenant, items)
        if (parts := self.parts) is not None:
            yield (
                parts.table,
                [
                    parts.to_row(tenant, part)
                    for _, state in items
                    for part in parts.parts_of(state).values()
                ],
            )

    def _kept(self, tenant: str, items: Sequence[tuple[str, S]]) -> list[Values]:
        is_removed = self.is_removed
        return [
            self.to_row(tenant, id_, state)
            for id_, state in items
            if is_removed is None or not is_removed(state)
        ]


def matching(
    database: Database,
    source: FromClause,
    statement: Select[Any],
    columns: Sequence[ColumnElement[Any]],
    where: ColumnElement[Any] | None = None,
) -> Query:
    """Select the rows whose ``columns`` equal one of the keys; one parameter holds all keys."""
    asked, cells = database.rows("asked", len(columns))
    same = and_(*(column == cell for column, cell in zip(columns, cells, strict=True)))
    statement = statement.select_from(asked.join(source, same))
    if where is not None:
        statement = statement.where(where)
    return Query(statement, database.dialect)
