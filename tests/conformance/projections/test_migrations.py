"""A database of the first release becomes one of today: all of it or nothing, however many ask.

``golden/first_release.sql`` is what the first release left behind after some commands of every
kind. On PostgreSQL the same rows stand in the tables that the first revision makes there.
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
from quorate.projections.migrations.schema import ONLY_TODAYS, SCHEMA, TODAYS, Prepared
from quorate.projections.rebuild import check
from quorate.projections.tables import holdings
from tests.conformance.projections.random_history import Town
from tests.support.paths import FIRST_RELEASE
from tests.support.postgres import ROLE, ROLE_PASSWORD, PostgresServer, shared_with_role

AT_ONCE = 4
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
LOSE_ONE = "DELETE FROM events WHERE position = 5"
FORBID = (
    "CREATE TRIGGER events_no_delete BEFORE delete ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
)
DAMAGE = {
    "sqlite": (
        "DROP TRIGGER events_no_delete",
        LOSE_ONE,
        FORBID,
    ),
    "postgresql": (
        "ALTER TABLE events DISABLE TRIGGER ALL",
        LOSE_ONE,
        "ALTER TABLE events ENABLE TRIGGER ALL",
    ),
}
Rows = dict[str, list[tuple[Any, ...]]]


def first_release(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_RELEASE.read_text("utf-8"))


@pytest.fixture(scope="module")
def then(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """All rows of the first release, by their tables."""
    path = tmp_path_factory.mktemp("then") / "quorate.db"
    first_release(path)
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 - ours.
            for (name,) in names
        }


def alembic_to(revision: str) -> Callable[[Connection, Callable[[], None]], None]:
    def work(connection: Connection, lock_log: Callable[[], None]) -> None:
        lock_log()
        config = Config()
        config.set_main_option("script_location", quorate.projections.migrations.__path__[0])
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    return work


def filled_with(rows: Rows) -> Callable[[Connection, Callable[[], None]], None]:
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


class Place:
    """A database of the first release; each ``backend()`` is another process to it."""

    def __init__(self, database: Callable[[], Database], empty: Callable[[], Database]) -> None:
        self.database = database
        self.empty = empty


@pytest.fixture(params=["sqlite", "postgresql"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, then: Rows) -> Place:
    if request.param == "sqlite":
        first_release(tmp_path / "quorate.db")
        return Place(
            lambda: SqliteDatabase(tmp_path / "quorate.db"),
            lambda: SqliteDatabase(tmp_path / "another.db"),
        )
    server: PostgresServer = request.getfixturevalue("postgres")
    url, other = server.empty_url(), server.empty_url()
    await PostgresDatabase(url).define(alembic_to("0001"))
    await PostgresDatabase(url).define(filled_with(then))
    return Place(lambda: PostgresDatabase(url), lambda: PostgresDatabase(other))


@asynccontextmanager
async def opened(database: Database, *schema: Any) -> AsyncIterator[Database]:  # noqa: ANN401
    await database.open(*schema)
    try:
        yield database
    finally:
        await database.close()


async def upgraded(database: Database) -> Prepared:
    return await database.define(TODAYS.prepare)


INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger')",
    "postgresql": "SELECT indexname, replace(indexdef, schemaname, '') FROM pg_indexes"
    " WHERE schemaname = current_schema()",
}


def shape(connection: Connection) -> dict[str, Any]:
    """What the tables are, apart from the order of their columns."""
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


# -- What becomes of it -------------------------------------------------------


async def test_every_row_is_what_the_log_says_and_the_log_is_what_it_was(
    place: Place, tmp_path: Path
) -> None:
    database = place.database()
    before = await database.inspect(events)

    prepared = await upgraded(database)

    assert (prepared.found, prepared.revision) == ("0001", revisions.NEWEST)
    assert prepared.events == len(before) > 0
    assert await database.inspect(events) == before
    async with (
        opened(place.database(), SCHEMA) as live,
        opened(SqliteDatabase(tmp_path / "scratch.db")) as scratch,
    ):
        assert (await check(live, scratch)).differences.count == 0


async def test_the_tables_are_those_that_would_be_made_today(place: Place) -> None:
    await upgraded(place.database())
    await upgraded(place.empty())

    assert await place.database().inspect(shape) == await place.empty().inspect(shape)


async def test_events_still_cannot_be_changed(place: Place) -> None:
    await upgraded(place.database())

    def forge(connection: Connection, _lock_log: Callable[[], None]) -> None:
        connection.execute(update(log_schema.events).values(data="{}"))

    with pytest.raises(Exception, match="append-only"):
        await place.database().define(forge)


async def test_however_many_ask_it_happens_once(place: Place) -> None:
    prepared = await asyncio.gather(*(upgraded(place.database()) for _ in range(AT_ONCE)))

    assert sorted(one.found or "" for one in prepared) == ["0001"] + [revisions.NEWEST] * 3
    assert {one.revision for one in prepared} == {revisions.NEWEST}


async def test_however_many_start_on_nothing_the_tables_are_made_once(place: Place) -> None:
    prepared = await asyncio.gather(*(upgraded(place.empty()) for _ in range(AT_ONCE)))

    found = [one.found for one in prepared]
    assert found.count(None) == 1
    assert found.count(revisions.NEWEST) == AT_ONCE - 1


async def test_a_log_that_is_damaged_leaves_everything_as_it_was(
    place: Place,
) -> None:
    def damage(connection: Connection, _lock_log: Callable[[], None]) -> None:
        for statement in DAMAGE[connection.dialect.name]:
            connection.execute(text(statement))

    await place.database().define(damage)
    before = await place.database().inspect(shape)

    with pytest.raises(SchemaOutdated, match="damaged"):
        await upgraded(place.database())

    assert await place.database().inspect(shape) == before


# -- Older and newer ----------------------------------------------------------


async def test_a_database_of_one_process_is_upgraded_by_opening_it(tmp_path: Path) -> None:
    first_release(tmp_path / "quorate.db")

    async with opened(SqliteDatabase(tmp_path / "quorate.db"), SCHEMA) as database:
        assert await database.inspect(revisions.found_in) == revisions.NEWEST


async def test_a_shared_database_is_refused_until_somebody_upgrades_it(
    postgres: PostgresServer,
) -> None:
    url = postgres.empty_url()
    with pytest.raises(SchemaOutdated, match=r"no tables yet.*quorate db upgrade"):
        await PostgresDatabase(url).open(SCHEMA)
    await PostgresDatabase(url).define(alembic_to("0001"))
    with pytest.raises(SchemaOutdated, match=r"older version.*quorate db upgrade"):
        await PostgresDatabase(url).open(SCHEMA)

    await upgraded(PostgresDatabase(url))

    async with opened(PostgresDatabase(url), SCHEMA):
        pass


async def test_what_a_newer_version_added_is_served_but_not_made_anew(place: Place) -> None:
    await upgraded(place.database())

    def renumber(connection: Connection, _lock_log: Callable[[], None]) -> None:
        connection.execute(update(revisions.version).values(version_num="9999"))

    await place.database().define(renumber)

    async with opened(place.database(), SCHEMA):
        pass
    with pytest.raises(SchemaOutdated, match="newer version"):
        await place.database().open(ONLY_TODAYS)


# -- Beside others ------------------------------------------------------------


async def test_what_others_append_meanwhile_is_not_missed(
    postgres: PostgresServer, then: Rows, tmp_path: Path
) -> None:
    """The last event comes in after the upgrade has looked, before it locks the log."""
    url = postgres.empty_url()
    *earlier, last = then["events"]
    await PostgresDatabase(url).define(alembic_to("0001"))
    await PostgresDatabase(url).define(filled_with({**then, "events": earlier}))
    other = await PostgresDatabase(url).connect("another")

    async def append() -> None:
        holes = ", ".join(f"${number}" for number in range(1, len(last) + 1))
        await other.execute(f"INSERT INTO events VALUES ({holes})", *last)  # noqa: S608 - ours.

    def late(connection: Connection, lock_log: Callable[[], None]) -> Prepared:
        def append_and_lock() -> None:
            await_only(append())
            lock_log()

        return TODAYS.prepare(connection, append_and_lock)

    prepared = await PostgresDatabase(url).define(late)
    await other.close()

    assert prepared.events == len(then["events"])
    async with (
        opened(PostgresDatabase(url), SCHEMA) as live,
        opened(SqliteDatabase(tmp_path / "scratch.db")) as scratch,
    ):
        assert (await check(live, scratch)).differences.count == 0


# -- Rights -------------------------------------------------------------------


async def test_a_role_that_serves_can_add_events_and_not_touch_them(tmp_path: Path) -> None:
    server = shared_with_role()
    url = server.empty_url()

    def prepare(connection: Connection, lock_log: Callable[[], None]) -> None:
        TODAYS.prepare(connection, lock_log)
        grants.grant(connection, ROLE)

    await PostgresDatabase(url).define(prepare)
    scheme, _, address = url.partition("://")
    password = tmp_path / "password"
    password.write_text(ROLE_PASSWORD)
    as_role = f"{scheme}://{ROLE}@{address.partition('@')[2]}"

    def served() -> PostgresDatabase:
        return PostgresDatabase(as_role, password_file=password)

    async with Town(served(), seed=2) as town:
        await town.live(20)

    assert await PostgresDatabase(url).inspect(_count_of_events) > 0
    for statement in (
        "UPDATE events SET data = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE events",
    ):
        with pytest.raises(Exception, match=r"permission denied|must be owner"):
            await served().define(_execute(statement))


async def test_a_role_that_served_serves_on_tables_that_came_with_an_upgrade() -> None:
    url = shared_with_role().empty_url()
    newcomer = holdings.name

    def prepare(connection: Connection, lock_log: Callable[[], None]) -> Sequence[bool]:
        TODAYS.prepare(connection, lock_log)
        grants.grant(connection, ROLE)
        connection.exec_driver_sql(f"REVOKE ALL ON {newcomer} FROM {ROLE}")
        connection.exec_driver_sql(f"GRANT TRUNCATE ON {newcomer} TO {ROLE}")
        grants.keep(connection)
        ours = (func.has_table_privilege(ROLE, newcomer, right) for right in RIGHTS)
        return tuple(connection.execute(select(*ours)).one())

    rights = await PostgresDatabase(url).define(prepare)

    assert dict(zip(RIGHTS, rights, strict=True)) == {
        **dict.fromkeys(("SELECT", "INSERT", "UPDATE"), True),
        "DELETE": False,
        "TRUNCATE": True,  # Somebody's own choice: nothing is taken away.
    }


def _count_of_events(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(log_schema.events)).scalar_one())


def _execute(statement: str) -> Callable[[Connection, Callable[[], None]], None]:
    def work(connection: Connection, _lock_log: Callable[[], None]) -> None:
        connection.execute(text(statement))

    return work
