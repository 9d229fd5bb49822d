"""Turn a query of the present into the same query as of a moment.

The statement stays as it is. A common table expression with the name of each table in front of it
hides that table, and selects the versions that were true at the moment. So aliases, conditions that
are written out, and expressions that steer the planner mean the same in both.

* A version is found by the nodes on the path to the position (``nodes.py``).
* An agent has a version for each heartbeat. Where it is found by its id, or agents are listed, the
  version is found by its beginning instead, in one lookup.
* A list of leases has the order of contacts. Few leases that were true then are found by node and
  sorted. Of many, the versions are read in that order until the page is full.
* The log and the table of notifications only grow: of them, a part is selected by sequence.
* Contents are those of now. What was erased stays erased.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Select,
    Table,
    and_,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    not_,
    select,
    table,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.selectable import Join

from quorate.eventlog.moments import PATH, POSITION, SEQUENCE, TENANT
from quorate.eventlog.tables import archives, events, identity, message_bodies
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.projections.coordination import leases
from quorate.projections.history.nodes import path_to
from quorate.projections.history.tables import HISTORY, is_open
from quorate.projections.identity import agents
from quorate.projections.recipients import TABLE as RECIPIENTS

# They are read as they are now.
_OF_NOW = frozenset({archives, identity, message_bodies})
_PARAMETERS = frozenset({TENANT, SEQUENCE, POSITION, PATH})
QUERIES_KEPT_MAX = 1_024
SORTED_MAX = 2_000  # Leases that were true at a moment, if a page of them is found by sorting.
# An expression, so that no index matches the column. Written out: see ``past_of``.
_NOTHING: ColumnElement[str] = literal_column("''")
_GROWING = frozenset({events, RECIPIENTS})


class NotKept(Exception):
    """The past of a table is not kept."""


_made: dict[tuple[Any, ...], "PastQuery"] = {}


def past_of(query: Query, dialect: Dialect) -> "PastQuery":
    """Return the query as of a moment. It is compiled once, also if the query is made again.

    Values that are written in the statement of ``query`` are not in it: see ``defaults``.
    """
    key = (dialect.name, query.sql, query.packed, *query.parameters)
    past = _made.get(key)
    if past is None:
        statement = query.past_statement
        if statement is None:
            statement = _past(query.statement, dialect)
        past = PastQuery(statement, dialect, like=query)
        if _is_list_of_contacts(query.statement):
            past.count = Query(_count_leases(dialect), dialect)
            past.in_order = PastQuery(
                _past(query.statement, dialect, in_order=True), dialect, like=query
            )
        if query.past_statement is None:
            assert {*past.parameters} - _PARAMETERS == {*query.parameters}, past.sql
        if len(_made) >= QUERIES_KEPT_MAX:
            _made.clear()
        _made[key] = past
    return past


class PastQuery(Query):
    """A query as of a moment.

    ``count`` counts the leases that were true then, up to SORTED_MAX: ``in_order`` is the same
    query for more of them.
    """

    count: Query | None = None
    in_order: Query | None = None

    def __init__(self, statement: Select[Any], dialect: Dialect, like: Query) -> None:
        super().__init__(statement, dialect)
        self.packed = like.packed


class PastTransaction:
    """A transaction whose queries answer as of a moment; nothing is written in it."""

    def __init__(
        self, transaction: DatabaseTransaction, dialect: Dialect, values: Mapping[str, Any]
    ) -> None:
        self._transaction = transaction
        self._dialect = dialect
        self._values = values

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        past: Query = past_of(query, self._dialect)
        sent = self._all(query, values)
        assert isinstance(past, PastQuery)
        if past.count is not None and past.in_order is not None:
            (row,) = await self._transaction.fetch(past.count, sent)
            past = past.in_order if row.leases >= SORTED_MAX else past
        return await self._transaction.fetch(past, sent)

    async def look_up(self, lookups: Sequence[Lookup]) -> None:
        past = [
            Lookup(
                query=past_of(one.query, self._dialect),
                values=self._all(one.query, one.values),
                take=one.take,
            )
            for one in lookups
        ]
        await self._transaction.look_up(past)

    def _all(self, query: Query, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**query.defaults, **values, **self._values}

    async def write(self, _query: Query, _rows: Sequence[Sequence[Any]]) -> None:
        raise AssertionError("the past cannot be written")


def open_past(
    dialect: Dialect, tenant: str, sequence: int, position: int, head: int
) -> Callable[[DatabaseTransaction], DatabaseTransaction]:
    """Return what turns a transaction into one that reads as of a position of a log."""
    path: Any = list(path_to(position, head))
    if dialect.name == "sqlite":
        path = orjson.dumps(path).decode()
    values = {TENANT: tenant, SEQUENCE: sequence, POSITION: position, PATH: path}
    return lambda transaction: PastTransaction(transaction, dialect, values)


# -- Statements ----------------------------------------------------------------


def _past(statement: Any, dialect: Dialect, *, in_order: bool = False) -> Select[Any]:  # noqa: ANN401
    """Put a common table expression for each table in front of the statement."""
    tables = dict.fromkeys(one for one in visitors.iterate(statement) if isinstance(one, Table))
    hidden = [_as_of(one, statement, dialect, in_order=in_order) for one in tables]
    past: Select[Any] = statement.add_cte(*(one for one in hidden if one is not None))
    return past


def _as_of(
    known: Table,
    statement: Any,  # noqa: ANN401
    dialect: Dialect,
    *,
    in_order: bool,
) -> CTE | None:
    if known in _OF_NOW:
        return None
    if known in _GROWING:
        rows = _until(known, dialect)
    elif known not in HISTORY:
        raise NotKept(known.name)
    elif known is agents.TABLE and _is_found_by_id(statement):
        rows = _by_start(known, HISTORY[known])
    elif in_order and known is leases.TABLE:
        rows = _in_order(HISTORY[known], dialect)
    else:
        sorted_ = leases.TABLE.c.contact_key if _is_list_of_contacts(statement) else None
        rows = _by_node(known, HISTORY[known], dialect, sorted_)
    # Else a table that occurs twice would be computed as a whole.
    return rows.cte(known.name).prefix_with("NOT MATERIALIZED")


def _is_found_by_id(statement: Any) -> bool:  # noqa: ANN401
    """Whether a statement finds each agent by its id, or lists agents in the order of ids."""
    id_, is_found = agents.TABLE.c.id, False
    for one in visitors.iterate(statement):
        if isinstance(one, Join) and one.isouter and agents.TABLE in {one.left, one.right}:
            return False  # SQLite would compute the joined tables as a whole.
        if one is agents.active_tenant:
            return False  # All active ones are read, by their index.
        if isinstance(one, BinaryExpression) and one.operator in {operators.eq, operators.gt}:
            is_found = is_found or id_ is one.left or id_ is one.right
    return is_found


def _is_list_of_contacts(statement: Any) -> bool:  # noqa: ANN401
    """Whether a statement lists leases by contact, and not those of one contact."""
    contact = leases.TABLE.c.contact_key
    compared = [
        one.operator
        for one in visitors.iterate(statement)
        if isinstance(one, BinaryExpression) and one.left is contact
    ]
    return operators.gt in compared and operators.eq not in compared


def _by_node(
    known: Table, history: Table, dialect: Dialect, sorted_: Column[str] | None
) -> Select[Any]:
    """Select by nodes. The order of ``sorted_`` is hidden from the planner.

    It would read all versions in that order, instead of sorting those that were true.
    """
    columns = [
        history.c[one.name].concat(_NOTHING).label(one.name)
        if one is sorted_
        else history.c[one.name]
        for one in known.columns
    ]
    return select(*columns).where(_was_true(history, dialect))


def _in_order(history: Table, dialect: Dialect) -> Select[Any]:
    """Select so that only an index by contact matches: no index begins with this expression."""
    hidden = history.c.node + literal_column("0")
    columns = [history.c[one.name] for one in leases.TABLE.columns]
    return select(*columns).where(_was_true(history, dialect, hidden))


def _count_leases(dialect: Dialect) -> Select[Any]:
    """Count the live leases of a tenant that were true, up to SORTED_MAX."""
    history = HISTORY[leases.TABLE]
    found = select(history.c.id).where(
        history.c.tenant == bindparam("tenant"),
        history.c.ended_at.is_(None),
        _was_true(history, dialect),
    )
    some = found.limit(literal_column(str(SORTED_MAX))).subquery("some")
    return select(func.count().label("leases")).select_from(some)


def _by_start(known: Table, history: Table) -> Select[Any]:
    """Begin with the open versions, one for each row, in the order of the key."""
    newest, earlier = history.alias("newest"), history.alias("earlier")
    keys = [one.name for one in known.primary_key]
    position: BindParameter[int] = bindparam(POSITION, type_=BigInteger)
    of_row = and_(*(earlier.c[name] == newest.c[name] for name in keys))
    # Not ``max``: SQLite would read all earlier versions.
    start = (
        select(earlier.c.from_position)
        .where(of_row, earlier.c.from_position <= position)
        .order_by(earlier.c.from_position.desc())
        .limit(literal_column("1"))
        .offset(literal_column("0"))
    )
    # Expressions: else SQLite compares the history with the cursor of the page as well, and reads
    # all versions after it.
    same = and_(
        *(history.c[name] == newest.c[name].concat(_NOTHING) for name in keys),
        history.c.from_position == start.correlate(newest).scalar_subquery(),
    )
    columns = [(newest if one.name in keys else history).c[one.name] for one in known.columns]
    return (
        select(*columns)
        .select_from(newest.join(history, same))
        .where(is_open(newest), history.c.until_position > position, not_(history.c.is_removed))
    )


def _was_true(
    history: Any,  # noqa: ANN401
    dialect: Dialect,
    node: ColumnElement[int] | None = None,
) -> ColumnElement[bool]:
    position: BindParameter[int] = bindparam(POSITION, type_=BigInteger)
    versions = history.c
    return and_(
        _on_path(versions.node if node is None else node, dialect),
        versions.from_position <= position,
        versions.until_position > position,
        not_(versions.is_removed),
    )


def _on_path(node: ColumnElement[int], dialect: Dialect) -> ColumnElement[bool]:
    if dialect.name == "sqlite":
        nodes = func.json_each(bindparam(PATH)).table_valued("value", name="as_of_nodes")
        return node.in_(select(nodes.c.value))
    return node == any_(bindparam(PATH, type_=ARRAY(BigInteger)))


def _until(known: Table, dialect: Dialect) -> Select[Any]:
    """Select a tenant's rows up to the sequence of the moment."""
    # In SQLite, the name of the schema tells the table from the expression that hides it.
    schema = "main" if dialect.name == "sqlite" else None
    columns = [column(one.name, one.type) for one in known.columns]
    rows: Any = table(known.name, *columns, schema=schema)
    return select(*rows.c).where(
        rows.c.tenant == bindparam(TENANT),
        rows.c.sequence <= bindparam(SEQUENCE, type_=BigInteger),
    )
