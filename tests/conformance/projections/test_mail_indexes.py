"""Deadlines, lists of messages and the bodies of notifications are found by index."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from sqlalchemy import Table, insert

from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog import tables as log_tables
from quorate.eventlog.postgres import database as postgres_database
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.transactions import Query
from quorate.projections import tables
from quorate.projections.mail.outgoing import OutgoingMail
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
        (
            "overdue.message",
            "mail_entries USING INDEX mail_entries_by_id (tenant=? AND id>? AND id<?)",
        ),
        ("overdue.agent", "leases USING COVERING INDEX leases_held (agent_id=?)"),
        (
            "states.mail_entry.owner:mail_entry",
            "mail_entries USING INDEX mail_entries_by_id (tenant=? AND id>? AND id<?)",
        ),
        (
            "states.mail_entry.message:mail_account",
            "mail_entries USING INDEX mail_entries_by_id (tenant=? AND id>? AND id<?)",
        ),
        ("sent", "messages USING INDEX messages_sent (tenant=? AND sender_id=? AND sequence<?)"),
        ("inbox all", "mail_entries USING PRIMARY KEY (tenant=? AND agent_id=? AND sequence>?"),
        ("inbox unread", "mail_entries USING INDEX mail_entries_unread (agent_id=? AND sequence>?"),
        ("inbox sender", "mail_entries USING INDEX mail_entries_by_sender (agent_id=? AND from_"),
        (
            "inbox thread",
            "messages USING COVERING INDEX messages_by_thread (tenant=? AND thread",
        ),
        ("inbox thread", "mail_entries USING PRIMARY KEY (tenant=? AND agent_id=? AND sequence=?)"),
        ("inbox kind", "mail_entries USING INDEX mail_entries_by_kind (agent_id=? AND kind=?"),
        ("inbox task", "mail_entries USING INDEX mail_entries_by_task (task_id=? AND agent_id=?"),
        (
            "due_mail.oldest",
            "deliveries USING INDEX deliveries_due (next_attempt_at>? AND next",
        ),
        ("due_mail.count", "deliveries USING COVERING INDEX deliveries_due (next_attempt_at>?"),
        (
            "due_mail.by_domain",
            "deliveries USING INDEX deliveries_due_by_domain (<expr>>?)",
        ),
        (
            "due_mail.by_domain",
            "deliveries USING INDEX deliveries_due_by_domain (<expr>=? AND next_attempt_at>? AND",
        ),
        (
            "mail_domains.labelled",
            "tenants USING COVERING INDEX tenants_by_label (<expr>=?)",
        ),
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


def deliveries_of(backlog: int) -> list[tuple[object, ...]]:
    """Return a backlog to one domain, and one later delivery to another domain."""
    domains = [*["slow.example"] * backlog, "quick.example"]
    delivery: tuple[object, ...] = ("queued", 1, None, 0)
    return [
        (
            *(TENANT, f"msg-{number:06}.0", "msg", "thr", "agent_1", "kim"),
            *(f"kim{number}@{domain}", *delivery, number, 1, None, None),
        )
        for number, domain in enumerate(domains)
    ]


async def test_backlog_to_a_busy_domain_is_not_read(tmp_path: Path) -> None:
    steps: dict[str, list[int]] = {name: [] for name in ("oldest", "count", "by_domain")}
    values = {"now": NOW, "limit": 10, "busy": orjson.dumps([["slow.example"]]).decode()}
    for size in (MANY, 3 * MANY):
        folder = tmp_path / str(size)
        folder.mkdir()
        async with open_stage("sqlite", folder) as stage:
            async with stage.database.write() as transaction:
                insertion = Query(insert(tables.deliveries), stage.database.dialect)
                await transaction.write(insertion, deliveries_of(size))
            found = await OutgoingMail(stage.log).due(Timestamp(NOW), ["slow.example"], 10)
            assert [one.delivery.contact_key for one in found] == [f"kim{size}@quick.example"]
            plans = Plans(folder / "quorate.db", statements(stage))
        for name, counted in steps.items():
            counted.append(plans.steps(f"due_mail.{name}", values))
    assert {name: more for name, (few, more) in steps.items() if more > few} == {}


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
