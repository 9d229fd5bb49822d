"""PostgreSQL: durable commits, isolated schemas, and bounded waiting."""

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select

from quorate.domain.identity.agents import AgentRef, Heartbeat
from quorate.eventlog.database import DatabaseUnusable
from quorate.eventlog.database_url import UnknownDatabase, create_database
from quorate.eventlog.envelopes import Accepted
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.postgres import connection, location
from quorate.eventlog.postgres import database as back_end
from quorate.eventlog.postgres.database import STATEMENT_SECONDS_MAX, PostgresDatabase
from quorate.eventlog.postgres.statistics import analyze_grown
from quorate.eventlog.transactions import DatabaseUnavailable, Lookup, Query, StatementRejected
from quorate.projections import tables
from quorate.projections.migrations.schema import CURRENT_SCHEMA, SCHEMA
from tests.conformance.eventlog.conformance import Postgres, Stage, Statement, until
from tests.support.postgres import PASSWORD, PostgresServer
from tests.unit.support.sample_commands import TENANT_KEY, register

REPLICAS = 3
COMMANDS = 40
WAIT_SECONDS_MAX = 30.0
KNOWN_ROWS = "SELECT reltuples FROM pg_class WHERE oid = 'tenants'::regclass"


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.database_url()


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[PostgresDatabase]:  # noqa: ANN401
    database = PostgresDatabase(url, **options)
    await database.open(SCHEMA)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A separate server, for tests that would affect other tests."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.remove()


# -- Unsafe servers are rejected -------------------------------------------------


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_server_that_may_lose_commits_is_rejected(
    own_server: PostgresServer, setting: str
) -> None:
    own_server._configuration[setting] = "off"
    own_server.start()

    with pytest.raises(DatabaseUnusable, match=f"{setting} is off"):
        async with opened(own_server.database_url()):
            pass


async def test_tables_are_not_created_on_an_unusable_server(own_server: PostgresServer) -> None:
    own_server._configuration["fsync"] = "off"
    own_server.start()
    database = PostgresDatabase(own_server.empty_url())

    with pytest.raises(DatabaseUnusable, match="fsync is off"):
        await database.define(CURRENT_SCHEMA.prepare)


@pytest.mark.parametrize(
    ("setting", "configured", "expected"),
    [
        ("synchronous_commit", "off", "on"),  # Commits wait for the disk,
        (
            "default_transaction_isolation",
            "serializable",
            "read committed",
        ),  # and later reads see them.
    ],
)
async def test_required_settings_override_the_roles_settings(
    postgres: PostgresServer, setting: str, configured: str, expected: str
) -> None:
    url = postgres.database_url()
    postgres.run_sql(f"ALTER DATABASE quorate SET {setting} = {configured}")
    try:
        async with opened(url) as database, database.write() as transaction:
            assert await transaction.fetch(Statement(f"SHOW {setting}"), {}) == [(expected,)]
    finally:
        postgres.run_sql(f"ALTER DATABASE quorate RESET {setting}")


async def test_unreachable_server_is_named_without_its_password(
    own_server: PostgresServer,
) -> None:
    url = own_server.url()

    with pytest.raises(DatabaseUnavailable, match=r"quorate:\*\*\*@127\.0\.0\.1") as broken:
        async with opened(url):
            pass

    assert PASSWORD not in str(broken.value)


@pytest.mark.parametrize("url", ["mysql://host/db", "postgresql://host/db", "quorate.db"])
def test_unknown_database_is_rejected(url: str) -> None:
    with pytest.raises(UnknownDatabase, match=r"begins with sqlite\+aiosqlite"):
        create_database(url)


# -- Credentials ------------------------------------------------------------------


async def test_password_is_read_from_a_file(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n", "utf-8")
    without = url.replace(f":{PASSWORD}", "")

    async with opened(without, password_file=secret) as database:
        assert postgres.run_sql("SELECT count(*) FROM events", schema=database.schema) == "0\n"


async def test_missing_password_file_is_reported(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="Cannot read the database password"):
        PostgresDatabase(url, password_file=tmp_path / "nowhere")


async def test_schemas_of_one_database_are_isolated() -> None:
    item, other = (Stage(Postgres(Path())) for _ in range(2))
    for stage in (item, other):
        await stage.open()
    try:
        await item.create_agents("ann")
        with item.database.hold():
            waiting = item.start(register("bob", by=TENANT_KEY))
            await item.database.held.wait()
            await other.create_agents("cleo")  # The logs have different locks.
        await waiting
        assert len(await item.events()) == 3
        assert len(await other.events()) == 2
    finally:
        await item.close()
        await other.close()


# -- Several processes, one log -----------------------------------------------------


async def test_several_command_buses_write_without_gap_and_in_order() -> None:
    platform = Postgres(Path())
    replicas = [Stage(platform) for _ in range(REPLICAS)]
    for number, replica in enumerate(replicas):
        replica.event_ids._kind = replica.command_ids._kind = f"e{number:02}"
        await replica.open()
    try:
        await replicas[0].create_agents()
        tail = asyncio.create_task(followed(replicas[-1].log, 1 + REPLICAS * COMMANDS))
        answers = await asyncio.gather(
            *(
                replica.submit(register(f"agent-{place}-{number}", by=TENANT_KEY))
                for place, replica in enumerate(replicas)
                for number in range(COMMANDS)
            )
        )

        assert all(isinstance(result, Accepted) for result in answers)
        assert await tail == list(range(1, 2 + REPLICAS * COMMANDS))
        assert sorted(result.sequence for result in answers) == list(range(2, 122))
        await replicas[0].log.verify_range(0, 1 + REPLICAS * COMMANDS)
    finally:
        for replica in replicas:
            await replica.close()


async def followed(log: EventStore, until_position: int) -> list[int]:
    """Return the positions in the order in which a reader first saw them."""
    seen: list[int] = []
    while not seen or seen[-1] < until_position:
        seen += [event.position for event in await log.after(seen[-1] if seen else 0, 100)]
        await asyncio.sleep(0)
    return seen


async def test_frozen_process_releases_the_lock(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back_end, "IDLE_IN_TRANSACTION_SECONDS_MAX", 1)
    async with opened(url) as frozen, opened(url) as other:
        holding = frozen.write()
        transaction = await holding.__aenter__()
        await transaction.fetch(Statement("SELECT 1"), {})

        async with asyncio.timeout(10), other.write() as next_session:
            await next_session.fetch(Statement("SELECT 1"), {})

        with pytest.raises(DatabaseUnavailable):
            await transaction.fetch(Statement("SELECT 1"), {})
        assert (
            await holding.__aexit__(
                DatabaseUnavailable, DatabaseUnavailable("the planned error"), None
            )
            is False
        )
        await frozen.reopen()
        async with frozen.write() as transaction:
            assert await transaction.fetch(Statement("SELECT 1"), {}) == [(1,)]


# -- Server failures -----------------------------------------------------------------


async def test_large_lookup_extends_the_idle_timeout(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise many due events could never be recorded."""
    monkeypatch.setattr(connection, "ROWS_WITHIN_TIMEOUT_MAX", 3)
    monkeypatch.setattr(connection, "MILLISECONDS_PER_ROW", 5_000)
    shown = Statement("SHOW idle_in_transaction_session_timeout")

    async with opened(url) as database:
        four = select(func.generate_series(1, 4).label("number"))
        many = Lookup(query=Query(four, database.dialect), values={}, take=lambda _: None)
        async with database.write() as transaction:
            before = await transaction.fetch(shown, {})
            await transaction.look_up([many])
            assert await transaction.fetch(shown, {}) == [("20s",)]
        async with database.write() as transaction:
            assert await transaction.fetch(shown, {}) == before


async def test_server_crash_loses_no_commit_and_service_reconnects(
    own_server: PostgresServer, logged: list[MutableMapping[str, Any]]
) -> None:
    own_server.start()
    platform = Postgres(Path())
    platform.url = own_server.database_url()
    stage = Stage(platform)
    await stage.open()
    try:
        await stage.create_agents("ann")
        before = await stage.lines()
        await asyncio.to_thread(own_server.restart)

        await until(lambda: stage.database.lost)
        assert isinstance(
            await stage.submit(beat("ann")), Accepted
        )  # No command is rejected because of it.

        assert [entry["event"] for entry in logged if entry["event"].startswith("log.")] == [
            "log.writes_recovered"
        ]
        assert (await stage.lines())[: len(before)] == before
    finally:
        await stage.close()


def beat(name: str) -> Heartbeat:
    return Heartbeat(caller=TENANT_KEY, agent=AgentRef(name=name))


async def test_wait_for_a_silent_server_is_bounded(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_server.start()
    monkeypatch.setattr(back_end, "STATEMENT_SECONDS_MAX", 0.5)
    monkeypatch.setattr(location, "CONNECT_SECONDS_MAX", 0.5)
    async with opened(own_server.database_url()) as database:
        log = EventStore(database)
        assert await log.committed_head() == 0
        own_server.pause()
        try:
            with pytest.raises(DatabaseUnavailable):
                await log.committed_head()
        finally:
            own_server.resume()
        await until(lambda: answers(log))


async def test_cancelled_read_of_a_silent_server_ends_at_once(
    postgres: PostgresServer, url: str
) -> None:
    """NATS logins need a response, and the service must stop, while the server hangs."""
    async with opened(url) as database:
        log = EventStore(database)
        assert await log.committed_head() == 0
        readers = database._readers
        assert readers is not None
        postgres.pause()
        try:
            async with asyncio.timeout(STATEMENT_SECONDS_MAX / 3):
                pending = asyncio.create_task(log.committed_head())
                await until(lambda: readers.get_idle_size() == 0)
                pending.cancel()
                await asyncio.wait([pending])
                await database.close()
        finally:
            postgres.resume()


async def answers(log: EventStore) -> bool:
    try:
        return await log.committed_head() == 0
    except DatabaseUnavailable:
        return False


# -- Rejected statements ---------------------------------------------------------------


@pytest.mark.parametrize(
    "change", ["UPDATE events SET actor = 'x'", "DELETE FROM events", "TRUNCATE events"]
)
async def test_events_cannot_be_changed(change: str) -> None:
    stage = Stage(Postgres(Path()))
    await stage.open()
    try:
        await stage.create_agents("ann")
        with pytest.raises(StatementRejected, match="append-only"):
            async with stage.database.write() as transaction:
                await transaction.fetch(Statement(change), {})
        assert len(await stage.events()) == 2
    finally:
        await stage.close()


async def test_invalid_value_is_a_rejected_statement(url: str) -> None:
    async with opened(url) as database:
        query = Query(select(tables.keys).where(tables.keys.c.created_at == 1), database.dialect)
        (name,) = query.parameters
        for unfit in (2**63, "text"):
            with pytest.raises(StatementRejected):
                async with database.read() as transaction:
                    await transaction.fetch(query, {name: unfit})


# -- Plans --------------------------------------------------------------------------


async def test_grown_table_is_analyzed_once(url: str) -> None:
    async with opened(url) as database:
        connection: asyncpg.Connection = await database.connect("test")
        try:
            assert await analyze_grown(connection) == []
            await connection.execute(
                "INSERT INTO tenants SELECT 'tenant-' || n, n FROM generate_series(1, 9000) AS n"
            )
            assert await analyze_grown(connection) == ["tenants"]
            assert await analyze_grown(connection) == []
        finally:
            await connection.close()


async def test_small_table_is_analyzed(url: str) -> None:
    """Otherwise each command of a batch may scan it."""
    dozens = "INSERT INTO tenants SELECT 'tenant-' || n, n FROM generate_series(1, 60) AS n"
    async with opened(url) as database:
        connection: asyncpg.Connection = await database.connect("test")
        try:
            await connection.execute(dozens)
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                # Analyzed by the server's own autovacuum or by this process.
                while (await connection.fetchval(KNOWN_ROWS)) != 60:
                    await analyze_grown(connection)
                    await connection.execute("SELECT pg_sleep(0.05)")
        finally:
            await connection.close()
