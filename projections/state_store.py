"""Load the state that a transaction needs and store its changes, by the read models' declarations.

* ``lookups`` and ``save`` run inside the transaction that appends. No state is kept between two
  transactions, so any number of processes may share a database and a restart needs no warm-up.
* All reads of a batch of commands become one query for each name of a lookup.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from sqlalchemy import Delete, Insert, Table, bindparam, delete
from sqlalchemy.dialects import postgresql, sqlite

from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.state_store import ReadKeys
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.projections.metadata import ADDED, Values, metadata
from quorate.projections.registry import READ_MODELS, REPOSITORIES
from quorate.projections.repository import LookupPlan, States

Keys: TypeAlias = Sequence[tuple[str, ...]]
_TABLES: Sequence[Table] = metadata.sorted_tables  # Sorted again on each access.
_REMOVABLE = [repository for repository in REPOSITORIES if repository.is_removed is not None]
_OWNED = [repository for repository in REPOSITORIES if repository.aggregate.owner is not None]


class SqlStateStore:
    """The read models of one database."""

    def __init__(self, database: Database) -> None:
        self._queries = _Queries(database)

    # -- Loading -------------------------------------------------------------

    def lookups(self, states: States, reads: ReadKeys) -> Sequence[Lookup]:
        return [
            _lookup(states, plan, list(keys))
            for plan in self._queries.plans
            if (keys := reads.get(plan.read)) is not None
        ]

    def overdue_lookups(self, states: States, now: Timestamp) -> Sequence[Lookup]:
        found = []
        for repository in _OWNED:
            owner = repository.aggregate.owner
            assert owner is not None
            overdue = _overdue(states, owner.aggregate, now)
            if overdue:
                plans = self._queries.of_owner[repository.aggregate.name]
                found += [_lookup(states, plan, overdue) for plan in plans]
        return found

    # -- Storing -------------------------------------------------------------

    async def save(self, transaction: DatabaseTransaction, states: States) -> None:
        # First: the next agent of a removed name may be in the same transaction.
        for repository in _REMOVABLE:
            keys = [
                key
                for tenant, state in states.items()
                for key in repository.removed_keys(tenant, state)
            ]
            if keys:
                await transaction.write(self._queries.deletes[repository.table], keys)
        for table, values in _changes(states).items():
            if values:
                await transaction.write(self._queries.upserts[table], values)


def _lookup(states: States, plan: LookupPlan, keys: Keys) -> Lookup:
    """Look up the keys of all tenants with one query."""
    values = {"asked": orjson.dumps(keys).decode()}
    return Lookup(query=plan.query, values=values, take=lambda rows: plan.put(states, rows))


def _overdue(states: States, aggregate: Any, now: Timestamp) -> Keys:  # noqa: ANN401 - of any state.
    """The loaded instances whose deadline has passed: what they own ends with them."""
    deadline = aggregate.deadline
    return [
        (tenant, id_)
        for tenant, state in states.items()
        for id_, instance in state[aggregate].items()
        if deadline.has_passed(instance, now)
    ]


def _changes(states: Mapping[str, TenantState]) -> dict[Table, list[Values]]:
    changes: dict[Table, list[Values]] = {table: [] for table in _TABLES}
    for tenant, state in states.items():
        for model in READ_MODELS:
            for table, rows in model.changes(tenant, state):
                changes[table] += rows
    for repository in REPOSITORIES:
        if (first := repository.store_first) is not None:
            changes[repository.table].sort(key=lambda row: not first(row))
    return changes


class _Queries:
    """Built once; each takes any number of keys in one parameter."""

    def __init__(self, database: Database) -> None:
        plans = [plan for model in READ_MODELS for plan in model.plans(database)]
        names = [one.aggregate.name for one in _OWNED]
        self.of_owner = {
            name: [plan for plan in plans if plan.read == f"{name}.owner"] for name in names
        }
        self.plans = [plan for plan in plans if not plan.read.endswith(".owner")]
        dialect = database.dialect
        self.upserts = {table: Query(upsert(table, dialect.name), dialect) for table in _TABLES}
        self.deletes = {one.table: Query(_delete(one.table), dialect) for one in _REMOVABLE}


def _delete(table: Table) -> Delete:
    keys = (column == bindparam(column.name, type_=column.type) for column in table.primary_key)
    return delete(table).where(*keys)


def upsert(table: Table, dialect: str) -> Insert:
    """Insert, or replace the row of the same primary key, or add to it what is counted."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    others = [column for column in table.columns if not column.primary_key]
    if not others:
        return insert.on_conflict_do_nothing()
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key],
        set_={
            column.name: column + new[column.name] if column.info.get(ADDED) else new[column.name]
            for column in others
        },
    )
