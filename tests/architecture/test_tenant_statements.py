"""Every statement of the read side and write side names its tenant, or is a listed exception.

The statements are collected while the stores of a service are built, so a new one cannot escape.
A table counts as restricted if its tenant column equals a value, or the tenant column of a table
that is restricted itself.
"""

import re
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Table, bindparam, func, select
from sqlalchemy.sql import Alias, Delete, Insert, Select, visitors
from sqlalchemy.sql.elements import BinaryExpression, ClauseElement, ColumnClause
from sqlalchemy.sql.operators import eq

from quorate.eventlog import event_store, transactions
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.event_queries import EventQueries
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.idempotency import IdempotencyStore
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections import state_store
from quorate.projections.agent_names import AgentNames
from quorate.projections.coordination.leases import TABLE as LEASES
from quorate.projections.deadlines import DueAggregates
from quorate.projections.mail.queries import InboxFilter, MailReader
from quorate.projections.metadata import metadata
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader
from quorate.projections.state_store import SqlStateStore

TENANT = "tenant"
# Statements across tenants, by the tables that they do not restrict: why they are needed.
ACROSS_TENANTS = {
    ("keys", "queries.py"): "the id of a key determines the tenant",
    ("events", "event_queries.py"): "the relay, checks and archives read the log in its order",
    ("answers", "idempotency.py"): "old answers of all tenants are deleted",
    ("agents", "deadlines.py"): "the scheduler records timeouts in all tenants",
    ("leases", "deadlines.py"): "the scheduler records ends in all tenants",
    ("requests", "deadlines.py"): "the scheduler records ends in all tenants",
    ("messages", "deadlines.py"): "the scheduler erases bodies in all tenants",
    ("list_items", "deadlines.py"): "the scheduler counts claims that end in all tenants",
    ("mail_entries", "deadlines.py"): "the scheduler records reminders in all tenants",
    ("tasks", "deadlines.py"): "the scheduler records ends in all tenants",
}
SHARED = {"transactions.py", "repository.py"}  # They compile statements of other modules.
# A tenant column in SQL that is written out, to choose an index.
WRITTEN_OUT = re.compile(r"(\w+)\.tenant")
STATUSES = (None, "pending", "approved", "rejected", "expired")


class Collected:
    """Every statement that is compiled, with the file that made it."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, ClauseElement]] = []

    def add(self, statement: ClauseElement) -> None:
        frame = sys._getframe(2)
        while (near := Path(frame.f_code.co_filename).name) in SHARED and frame.f_back is not None:
            frame = frame.f_back
        self.statements.append((near, statement))

    def unrestricted(self) -> set[tuple[str, str]]:
        return {
            (table, file)
            for file, statement in self.statements
            for table in unrestricted_tables(statement)
        }


def unrestricted_tables(statement: ClauseElement) -> set[str]:
    """Return the tables with a tenant column that the statement does not restrict."""
    if isinstance(statement, Insert):
        return set()  # An inserted row names its tenant: the column is part of its key.
    parts = [*visitors.iterate(statement)]
    used: set[Any] = {one.table for one in parts if isinstance(one, Column)}
    used |= {one for one in parts if isinstance(one, Table | Alias)}
    tables = {table for table in used if hasattr(table, "c") and TENANT in table.c}
    restricted: set[Any] = set()
    links: list[tuple[Any, Any]] = []
    for condition in visitors.iterate(statement):
        if not isinstance(condition, BinaryExpression) or condition.operator is not eq:
            continue
        left, right = _tenants_in(condition.left), _tenants_in(condition.right)
        links += product(left, right)
        restricted |= (left | right) if not (left and right) else set()
    for _ in tables:
        for one, other in links:
            if one in restricted or other in restricted:
                restricted |= {one, other}
    return {str(getattr(table, "element", table).name) for table in tables - restricted}


def _tenants_in(side: Any) -> set[Any]:  # noqa: ANN401 - one side of a comparison.
    """Return the tables whose tenant columns are compared."""
    found = set()
    for one in visitors.iterate(side):
        if isinstance(one, Column) and one.name == TENANT:
            found.add(one.table)
        elif isinstance(one, ColumnClause) and one.is_literal:
            found |= {metadata.tables[name] for name in WRITTEN_OUT.findall(one.name)}
    return found


@pytest.fixture
async def collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Collected:
    """Build everything that reads or writes during the operation of a service."""
    found = Collected()
    compile_: Callable[..., None] = transactions.Query.__init__

    def collect(self: Any, statement: Any, *rest: Any, **options: Any) -> None:  # noqa: ANN401
        found.add(statement)
        compile_(self, statement, *rest, **options)

    monkeypatch.setattr(transactions.Query, "__init__", collect)
    factories: list[tuple[Any, str]] = [(event_store, "EventQueries"), (state_store, "_Queries")]
    for module, name in factories:  # Tests share compiled queries otherwise.
        shared: Any = getattr(module, name)
        monkeypatch.setattr(module, name, getattr(shared, "__wrapped__", shared))
    database = SqliteDatabase(tmp_path / "log.db")
    log = EventStore(database)
    EventQueries(database)  # A store builds them when it is opened.
    reader = Reader(log, lambda: 0)  # type: ignore[arg-type, return-value]
    SqlStateStore(database)
    IdempotencyStore(database)
    ContentStore(database)
    DueAggregates(log)
    AgentNames(log)
    NotificationQueries(log, lambda: 0, retention_hours=1)  # type: ignore[arg-type, return-value]
    inbox = MailReader(log, lambda: 0)._queries  # type: ignore[arg-type, return-value]
    for unread, name in product((False, True), ("from_address", "thread_id", "kind", "task_id")):
        inbox.inbox(InboxFilter(unread_only=unread, **{name: "x"}), "asc")
    queries = reader._queries
    for agent, contact in product((None, "a"), (None, "c")):
        queries.live_leases(agent, contact)
    for status in STATUSES:
        queries.requests(status)  # type: ignore[arg-type]
    return found


def test_every_statement_names_its_tenant(collected: Collected) -> None:
    assert len(collected.statements) > 30

    assert collected.unrestricted() <= ACROSS_TENANTS.keys()


def test_every_exception_is_used(collected: Collected) -> None:
    assert ACROSS_TENANTS.keys() <= collected.unrestricted()


def _planted() -> Iterator[Select[Any] | Delete]:
    of_tenant = LEASES.c.tenant == bindparam("tenant")
    yield select(LEASES).where(LEASES.c.id == bindparam("id"))
    other = LEASES.alias()
    yield select(LEASES).select_from(LEASES.join(other, other.c.id == LEASES.c.id)).where(of_tenant)
    inner = select(func.count()).where(other.c.agent_id == LEASES.c.agent_id).scalar_subquery()
    yield select(LEASES.c.id, inner).where(of_tenant)
    yield select(LEASES).where(LEASES.c.tenant != bindparam("tenant"))


@pytest.mark.parametrize("statement", list(_planted()))
def test_planted_statement_across_tenants_is_found(statement: Select[Any]) -> None:
    assert unrestricted_tables(statement) == {"leases"}


def test_joined_table_with_the_same_tenant_is_accepted() -> None:
    other = LEASES.alias()
    same = other.c.tenant == LEASES.c.tenant
    statement = select(LEASES).select_from(LEASES.join(other, same))

    assert unrestricted_tables(statement) == {"leases"}
    assert unrestricted_tables(statement.where(LEASES.c.tenant == bindparam("tenant"))) == set()
