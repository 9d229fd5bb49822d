"""Deadlines, lists of messages and the bodies of notifications are found by index."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from sqlalchemy import Table, insert

from quorate.eventlog import tables as log_tables
from quorate.eventlog.postgres import database as postgres_database
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.transactions import Query
from quorate.projections import tables
from quorate.projections.mail.queries import InboxFilter, MailReader
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import ProjectionStage, open_stage
from tests.conformance.projections.test_indexes import FEW, LATER, MANY, NOW, Plans, queries
from tests.conformance.projections.test_postgres_indexes import (
    MORE_PAGES_MAX,
    PAGES_SPARED,
    Pages,
)

FILTERS = {
    "all": InboxFilter(),
    "unread": InboxFilter(unread_only=True),
    "sender": InboxFilter(from_address="kim@example.com"),
    "thread": InboxFilter(thread_id="thr_1"),
    "kind": InboxFilter(kind="TASK"),
    "task": InboxFilter(task_id="7"),
}
KEY = orjson.dumps([[TENANT, "msg-000007"]]).decode()
VALUES: Mapping[str, Mapping[str, Any]] = {
    "overdue.mail_entry": {"now": NOW},
    "overdue.message": {"now": NOW},
    "notified_bodies": {"messages": KEY},
    "states.mail_entry.owner:mail_entry": {"asked": KEY},
}


def statements(stage: ProjectionStage) -> dict[str, Query]:
    mail = MailReader(stage.log, stage.clock)._queries
    inbox = {f"inbox {name}": mail.inbox(one, "desc") for name, one in FILTERS.items()}
    bodies = stage.notifications._bodies._query
    return queries(stage) | inbox | {"notified_bodies": bodies, "sent": mail.sent}


@pytest.fixture
async def plans(tmp_path: Path) -> AsyncIterator[Plans]:
    async with open_stage("sqlite", tmp_path) as stage:
        yield Plans(tmp_path / "quorate.db", statements(stage))


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("overdue.mail_entry", "mail_entries USING INDEX mail_entries_due (ack_due_at>?"),
        ("overdue.message", "messages USING INDEX messages_due (erase_at>?"),
        ("overdue.message", "mail_entries USING INDEX mail_entries_by_message (message_id=?)"),
        ("overdue.agent", "leases USING INDEX leases_held (agent_id=?)"),
        (
            "states.mail_entry.owner:mail_entry",
            "mail_entries USING INDEX mail_entries_by_message (message_id=?)",
        ),
        (
            "states.mail_entry.message:mail_account",
            "mail_entries USING INDEX mail_entries_by_message (message_id=?)",
        ),
        ("sent", "messages USING INDEX messages_sent (tenant=? AND sender_id=? AND sequence<?)"),
        ("inbox all", "mail_entries USING PRIMARY KEY (tenant=? AND agent_id=? AND sequence>?"),
        ("inbox unread", "mail_entries USING INDEX mail_entries_unread (agent_id=? AND sequence>?"),
        ("inbox sender", "mail_entries USING INDEX mail_entries_by_sender (agent_id=? AND from_"),
        ("inbox thread", "mail_entries USING INDEX mail_entries_by_thread (agent_id=? AND thread"),
        ("inbox kind", "mail_entries USING INDEX mail_entries_by_kind (agent_id=? AND kind=?"),
        ("inbox task", "mail_entries USING INDEX mail_entries_by_task (agent_id=? AND task_id=?"),
        ("notified_bodies", "message_bodies USING INDEX sqlite_autoindex_message_bodies_1"),
    ],
)
def test_lookup_of_mail_uses_its_index(plans: Plans, name: str, way: str) -> None:
    assert any(line.startswith(f"SEARCH {way}") for line in plans.of(name)), plans.of(name)


def rows_of(size: int) -> dict[Table, list[tuple[object, ...]]]:
    """Return messages of which none is due, as most are."""
    names = [f"{number:06}" for number in range(size)]
    delivered = ("thread", "to", "from", "subject", 1, 9, None, None, None, None, False, None, None)
    sent = (1, "thread", "agent", "from", "subject", None, None, 1, LATER, None, None, False)
    return {
        tables.mail_entries: [
            (TENANT, f"agent_{i}", 1, f"msg-{i}", *delivered, True, LATER, None, f"msg-{i}/a")
            for i in names
        ],
        tables.messages: [(TENANT, f"msg-{i}", *sent, "{}") for i in names],
        log_tables.message_bodies: [(TENANT, f"msg-{i}", "text", b"salt", b"hello") for i in names],
    }


async def fill(stage: ProjectionStage, size: int) -> None:
    for table, rows in rows_of(size).items():
        async with stage.database.write() as transaction:
            await transaction.write(Query(insert(table), stage.database.dialect), rows)


@pytest.mark.usefixtures("slow_transactions")
async def test_lookup_of_mail_reads_constant_pages_on_postgresql(tmp_path: Path) -> None:
    pages: dict[str, list[int]] = {name: [] for name in VALUES}
    for size in (FEW, MANY):
        async with open_stage("postgresql", tmp_path) as stage:
            await fill(stage, size)
            database = stage.database.real
            assert isinstance(database, PostgresDatabase)
            connection: asyncpg.Connection = await database.connect(
                "test", settings=postgres_database._READER
            )
            try:
                await connection.execute("ANALYZE mail_entries, messages, message_bodies")
                counted, ready = Pages(connection), statements(stage)
                for name, values in VALUES.items():
                    pages[name].append(await counted.of(ready[name], values))
            finally:
                await connection.close()

    slower = {
        name: found
        for name, found in pages.items()
        if found[1] > MORE_PAGES_MAX * found[0] + PAGES_SPARED
    }
    assert slower == {}
