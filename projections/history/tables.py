"""Tables of the history, made from those of the read models.

* A row is a version of a row of the read model: its columns, and the positions from which and until
  which it was true. ``node`` is the place of these positions in a tree (``nodes.py``).
* The current version has the end and the node OPEN. A row that was removed keeps its last version
  there, with ``is_removed``, so that no list needs another table of what existed.
* An index of a read model has a counterpart that ends with the node, and then the columns that the
  index only contains.
* No column is written here: a change of a read model changes its history too. After such an
  upgrade the tables are created and filled again (``refill.py``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    Table,
    literal_column,
)
from sqlalchemy.sql.selectable import NamedFromClause

from quorate.projections.coordination import leases
from quorate.projections.history.nodes import OPEN
from quorate.projections.identity import agents
from quorate.projections.metadata import CONTAINED, sql
from quorate.projections.registry import REPOSITORIES

metadata = MetaData()

# One row. ``position``: of the last event that the history contains. ``first_position``: the first
# moment that it contains; 0 is the beginning of the log.
progress = Table(
    "history_progress",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("first_position", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
PROGRESS_ID = 1

VERSION_COLUMNS = ("from_position", "until_position", "node", "is_removed")
# Written out: a bound value would hide the partial indexes from the planner.
IS_OPEN = f"until_position = {OPEN}"
# They serve commands and tasks of the service, which never read the past.
_INDEXES_LEFT_OUT = frozenset(
    {
        *("agents_due", "agents_inactive", "keys_by_expiry", "tenants_by_label"),
        *("leases_due", "requests_due", "messages_due", "messages_by_rfc_id", "mail_entries_due"),
        *("deliveries_due", "deliveries_due_by_domain", "schedules_due", "sessions_unerased"),
        *("session_messages_unerased", "list_items_claimed"),
        *("tasks_due", "tasks_nested", "tasks_offered"),
    }
)


def _history_of(table: Table) -> Table:
    keys = [column.name for column in table.primary_key]
    history = Table(
        f"{table.name}_history",
        metadata,
        *(
            Column(
                column.name, column.type, primary_key=column.name in keys, nullable=column.nullable
            )
            for column in table.columns
        ),
        Column("from_position", BigInteger, nullable=False),
        Column("until_position", BigInteger, nullable=False),
        Column("node", BigInteger, primary_key=True),
        Column("is_removed", Boolean, nullable=False),
    )
    Index(
        f"{history.name}_open",
        *(history.c[name] for name in keys),
        sqlite_where=sql(IS_OPEN),
        postgresql_where=sql(IS_OPEN),
    )
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in _INDEXES_LEFT_OUT:
            _add_index(history, index)
    return history


def _add_index(history: Table, index: Index) -> None:
    contained: Sequence[str] = index.info.get(CONTAINED, ())
    parts: Sequence[Any] = [
        history.c[one.name] if isinstance(one, Column) else one
        for one in index.expressions
        if not isinstance(one, Column) or one.name not in contained
    ]
    last: Sequence[str] = ("node", "from_position", "until_position")
    if contained:
        last = (*last, "is_removed", *contained)
    where = index.dialect_options["sqlite"]["where"]
    Index(
        f"{index.name}_history",
        *parts,
        *(history.c[name] for name in last),
        sqlite_where=where,
        postgresql_where=where,
    )


def is_open(history: NamedFromClause[Any]) -> ColumnElement[bool]:
    return literal_column(f"{history.name}.{IS_OPEN}")


# The history of each read model that requests read, by its table.
HISTORY: Mapping[Table, Table] = {
    table: _history_of(table) for repository in REPOSITORIES for table in repository.tables
}

_agents, _leases = HISTORY[agents.TABLE], HISTORY[leases.TABLE]
# A list of live leases has the order of contacts, which had many leases before.
Index(
    "leases_live_history_by_node",
    *(_leases.c[name] for name in ("tenant", "node", "from_position", "until_position")),
    sqlite_where=sql("ended_at IS NULL"),
    postgresql_where=sql("ended_at IS NULL"),
)
# Each heartbeat of an agent is a version. They are found by their beginnings in one lookup.
Index("agents_history_by_start", *(_agents.c[name] for name in ("tenant", "id", "from_position")))
