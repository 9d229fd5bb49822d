"""A database of the first release is upgraded completely or not at all, also concurrently.

``golden/first_release.sql`` contains the tables of the first release after commands of every kind.
On PostgreSQL the same rows are inserted into the tables of the first revision.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Boolean, Connection, MetaData, func, insert, inspect, select, text, update
from sqlalchemy.util import await_only

import quorate.projections.migrations
from quorate.eventlog import tables as log_schema
from quorate.eventlog.database import Database, SchemaOutdated
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.migrations import grants, revisions
from quorate.projections.migrations.schema import (
    CURRENT_SCHEMA,
    CURRENT_SCHEMA_ONLY,
    SCHEMA,
    PreparedSchema,
    ServerSchema,
)
from quorate.projections.rebuild import check
from quorate.projections.tables import holdings
from quorate.runtime.process_lock import Locked
from tests.conformance.projections.random_history import RandomHistory
from tests.support.paths import FIRST_RELEASE
from tests.support.postgres import ROLE, ROLE_PASSWORD, PostgresServer, shared_with_role

CONCURRENT = 4
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
REMOVE_ONE_EVENT = "DELETE FROM events WHERE position = 5"
FORBID = (
    "CREATE TRIGGER events_no_delete BEFORE delete ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
)
DAMAGE = {
    "sqlite": (
        "DROP TRIGGER events_no_delete",
        REMOVE_ONE_EVENT,
        FORBID,
    ),
    "postgresql": (
        "ALTER TABLE events DISABLE TRIGGER ALL",
        REMOVE_ONE_EVENT,
        "ALTER TABLE events ENABLE TRIGGER ALL",
    ),
}
Rows = dict[str, list[tuple[Any, ...]]]


def create_first_release(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_RELEASE.read_text("utf-8"))


@pytest.fixture(scope="module")
def first_rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All rows of the first release, by table."""
    path = tmp_path_factory.mktemp("first_release") / "quorate.db"
    create_first_release(path)
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 - constant table names.
            for (name,) in names
        }


def upgrade_to(revision: str) -> Callable[[Connection, Callable[[], None]], None]:
    def work(connection: Connection, lock_log: Callable[[], None]) -> None:
        lock_log()
        config = Config()
        config.set_main_option("script_location", quorate.projections.migrations.__path__[0])
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    return work


def insert_rows(rows: Rows) -> Callable[[Connection, Callable[[], None]], None]:
    def work(connection: Connection, lock_log: Callable[[], None]) -> None:
        lock_log()
        found = MetaData()
        found.reflect(connection)
        for name, values in rows.items():
            columns = list(found.tables[name].columns)
            for row in values:
                given = {
                    column.name: bool(value) if isinstance(column.type, Boolean) else value
                    for column, value in zip(columns, row, strict=True)
                }
                connection.execute(insert(found.tables[name]).values(given))

    return work


class Target:
    """A database of the first release; each ``database()`` acts as another process."""

    def __init__(self, database: Callable[[], Database], empty: Callable[[], Database]) -> None:
        self.database = database
        self.empty = empty


@pytest.fixture(params=["sqlite", "postgresql"])
async def target(request: pytest.FixtureRequest, tmp_path: Path, first_rows: Rows) -> Target:
    if request.param == "sqlite":
        create_first_release(tmp_path / "quorate.db")
        return Target(
            lambda: SqliteDatabase(tmp_path / "quorate.db"),
            lambda: SqliteDatabase(tmp_path / "another.db"),
        )
    server: PostgresServer = request.getfixturevalue("postgres")
    url, other = server.empty_url(), server.empty_url()
    await PostgresDatabase(url).define(upgrade_to("0001"))
    await PostgresDatabase(url).define(insert_rows(first_rows))
    return Target(lambda: PostgresDatabase(url), lambda: PostgresDatabase(other))


@asynccontextmanager
async def open_database(database: Database, *schema: Any) -> AsyncIterator[Database]:  # noqa: ANN401
    await database.open(*schema)
    try:
        yield database
    finally:
        await database.close()


async def upgrade(database: Database) -> PreparedSchema:
    return await database.define(CURRENT_SCHEMA.prepare)


INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger')",
    "postgresql": "SELECT indexname, replace(indexdef, schemaname, '') FROM pg_indexes"
    " WHERE schemaname = current_schema()",
}


def describe_schema(connection: Connection) -> dict[str, Any]:
    """Return the definition of all tables, except the order of columns."""
    inspector = inspect(connection)
    tables = {
        name: (
            sorted(
                (str(one["name"]), str(one["type"]), one["nullable"])
                for one in inspector.get_columns(name)
            ),
            inspector.get_pk_constraint(name)["constrained_columns"],
        )
        for name in inspector.get_table_names()
    }
    found = connection.execute(text(INDEXES[connection.dialect.name]))
    indexes = {name: " ".join((sql or "").split()) for name, sql in found}
    return {"tables": tables, "indexes": indexes}


def events(connection: Connection) -> list[tuple[Any, ...]]:
    ordered = select(log_schema.events).order_by(log_schema.events.c.position)
    return [tuple(row) for row in connection.execute(ordered)]


# -- Upgrade ------------------------------------------------------------------


async def test_upgrade_keeps_events_and_fills_tables_from_them(
    target: Target, tmp_path: Path
) -> None:
    database = target.database()
    before = await database.inspect(events)

    prepared = await upgrade(database)

    assert (prepared.found, prepared.revision) == ("0001", revisions.NEWEST)
    assert prepared.events == len(before) > 0
    assert await database.inspect(events) == before
    async with (
        open_database(target.database(), SCHEMA) as live,
        open_database(SqliteDatabase(tmp_path / "scratch.db")) as scratch,
    ):
        assert (await check(live, scratch)).differences.count == 0


async def test_upgraded_schema_equals_the_current_schema(target: Target) -> None:
    await upgrade(target.database())
    await upgrade(target.empty())

    assert await target.database().inspect(describe_schema) == await target.empty().inspect(
        describe_schema
    )


async def test_events_stay_append_only_after_an_upgrade(target: Target) -> None:
    await upgrade(target.database())

    def forge(connection: Connection, _lock_log: Callable[[], None]) -> None:
        connection.execute(update(log_schema.events).values(data="{}"))

    with pytest.raises(Exception, match="append-only"):
        await target.database().define(forge)


async def test_concurrent_upgrades_run_once(target: Target) -> None:
    prepared = await _upgrade_together(target.database)

    assert [one.found for one in prepared].count("0001") == 1


async def test_concurrent_starts_create_the_tables_once(target: Target) -> None:
    prepared = await _upgrade_together(target.empty)

    assert [one.found for one in prepared].count(None) == 1


async def _upgrade_together(database: Callable[[], Database]) -> Sequence[PreparedSchema]:
    """On SQLite one is done, and the others are refused."""
    done = await asyncio.gather(
        *(upgrade(database()) for _ in range(CONCURRENT)), return_exceptions=True
    )
    prepared = [one for one in done if isinstance(one, PreparedSchema)]
    refused = sum(isinstance(one, Locked) for one in done)
    assert refused == (CONCURRENT - 1 if isinstance(database(), SqliteDatabase) else 0)
    assert {one.revision for one in prepared} == {revisions.NEWEST}
    return prepared


async def test_upgrade_of_a_corrupted_log_changes_nothing(target: Target) -> None:
    def damage(connection: Connection, _lock_log: Callable[[], None]) -> None:
        for statement in DAMAGE[connection.dialect.name]:
            connection.execute(text(statement))

    await target.database().define(damage)
    before = await target.database().inspect(describe_schema)

    with pytest.raises(SchemaOutdated, match="corrupted"):
        await upgrade(target.database())

    assert await target.database().inspect(describe_schema) == before


# -- Older and newer schemas --------------------------------------------------


async def test_sqlite_database_is_upgraded_when_it_is_opened(tmp_path: Path) -> None:
    create_first_release(tmp_path / "quorate.db")

    async with open_database(SqliteDatabase(tmp_path / "quorate.db"), SCHEMA) as database:
        assert await database.inspect(revisions.find_revision) == revisions.NEWEST


async def test_shared_database_is_rejected_until_it_is_upgraded(
    postgres: PostgresServer,
) -> None:
    url = postgres.empty_url()
    with pytest.raises(SchemaOutdated, match=r"no tables yet.*quorate db upgrade"):
        await PostgresDatabase(url).open(SCHEMA)
    await PostgresDatabase(url).define(upgrade_to("0001"))
    with pytest.raises(SchemaOutdated, match=r"older version.*quorate db upgrade"):
        await PostgresDatabase(url).open(SCHEMA)

    await upgrade(PostgresDatabase(url))

    async with open_database(PostgresDatabase(url), SCHEMA):
        pass


async def test_newer_schema_is_served_if_allowed_but_not_rebuilt(target: Target) -> None:
    """On a shared database always: replicas are upgraded one after the other."""
    await upgrade(target.database())

    def renumber(connection: Connection, _lock_log: Callable[[], None]) -> None:
        connection.execute(update(revisions.version).values(version_num="9999"))

    await target.database().define(renumber)

    if isinstance(target.database(), SqliteDatabase):
        with pytest.raises(SchemaOutdated, match=r"newer version.*--allow-newer-schema"):
            await target.database().open(SCHEMA)
    else:
        async with open_database(target.database(), SCHEMA):
            pass
    async with open_database(target.database(), ServerSchema(allow_newer=True)):
        pass
    with pytest.raises(SchemaOutdated, match="newer version"):
        await target.database().open(CURRENT_SCHEMA_ONLY)


# -- Concurrent writers -------------------------------------------------------


async def test_upgrade_includes_events_appended_before_the_lock(
    postgres: PostgresServer, first_rows: Rows, tmp_path: Path
) -> None:
    """The last event is appended after the upgrade has read the log, before it locks the log."""
    url = postgres.empty_url()
    *earlier, last = first_rows["events"]
    await PostgresDatabase(url).define(upgrade_to("0001"))
    await PostgresDatabase(url).define(insert_rows({**first_rows, "events": earlier}))
    other = await PostgresDatabase(url).connect("another")

    async def append() -> None:
        holes = ", ".join(f"${number}" for number in range(1, len(last) + 1))
        await other.execute(f"INSERT INTO events VALUES ({holes})", *last)  # noqa: S608 - constant table names.

    def late(connection: Connection, lock_log: Callable[[], None]) -> PreparedSchema:
        def append_and_lock() -> None:
            await_only(append())
            lock_log()

        return CURRENT_SCHEMA.prepare(connection, append_and_lock)

    prepared = await PostgresDatabase(url).define(late)
    await other.close()

    assert prepared.events == len(first_rows["events"])
    async with (
        open_database(PostgresDatabase(url), SCHEMA) as live,
        open_database(SqliteDatabase(tmp_path / "scratch.db")) as scratch,
    ):
        assert (await check(live, scratch)).differences.count == 0


# -- Privileges ---------------------------------------------------------------


async def test_server_role_appends_events_but_cannot_change_them(tmp_path: Path) -> None:
    server = shared_with_role()
    url = server.empty_url()

    def prepare(connection: Connection, lock_log: Callable[[], None]) -> None:
        CURRENT_SCHEMA.prepare(connection, lock_log)
        grants.grant(connection, ROLE)

    await PostgresDatabase(url).define(prepare)
    scheme, _, address = url.partition("://")
    password = tmp_path / "password"
    password.write_text(ROLE_PASSWORD)
    as_role = f"{scheme}://{ROLE}@{address.partition('@')[2]}"

    def server_database() -> PostgresDatabase:
        return PostgresDatabase(as_role, password_file=password)

    async with RandomHistory(server_database(), seed=2) as random_history:
        await random_history.run(20)

    assert await PostgresDatabase(url).inspect(_count_of_events) > 0
    for statement in (
        "UPDATE events SET data = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE events",
        "UPDATE message_bodies SET body = ''",
    ):
        with pytest.raises(Exception, match=r"permission denied|must be owner"):
            await server_database().define(_execute(statement))


async def test_server_role_is_granted_new_tables_of_an_upgrade() -> None:
    url = shared_with_role().empty_url()
    new_table = holdings.name

    def prepare(connection: Connection, lock_log: Callable[[], None]) -> Sequence[bool]:
        CURRENT_SCHEMA.prepare(connection, lock_log)
        grants.grant(connection, ROLE)
        connection.exec_driver_sql(f"REVOKE ALL ON {new_table} FROM {ROLE}")
        connection.exec_driver_sql(f"GRANT TRUNCATE ON {new_table} TO {ROLE}")
        grants.extend_grants(connection)
        checks = (func.has_table_privilege(ROLE, new_table, privilege) for privilege in PRIVILEGES)
        return tuple(connection.execute(select(*checks)).one())

    privileges = await PostgresDatabase(url).define(prepare)

    assert dict(zip(PRIVILEGES, privileges, strict=True)) == {
        **dict.fromkeys(("SELECT", "INSERT", "UPDATE"), True),
        "DELETE": False,
        "TRUNCATE": True,  # Granted by an administrator: an upgrade revokes nothing.
    }


def _count_of_events(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(log_schema.events)).scalar_one())


def _execute(statement: str) -> Callable[[Connection, Callable[[], None]], None]:
    def work(connection: Connection, _lock_log: Callable[[], None]) -> None:
        connection.execute(text(statement))

    return work
