"""Conformance suite of the database adapters: platforms, and a stage with a complete event log.

A test with the fixture ``platform`` or ``stage`` runs on each of PLATFORMS. Another database needs
an adapter like ``Sqlite`` and an entry there; no test knows on which database it runs.

The stage is a log with its command bus and projections, a clock that advances only when a test sets
it, sequential ids, and a database that can be held, observed and made to fail.
"""

import asyncio
import hashlib
import itertools
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
)
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import asyncpg
import orjson
from sqlalchemy import ColumnElement, Connection, FromClause

from quorate.domain.identity.tenants import CreateTenant
from quorate.domain.shared.quotas import UNLIMITED
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import Clock, CommandBus
from quorate.eventlog.database import Database, Schema
from quorate.eventlog.database_url import create_database
from quorate.eventlog.envelopes import Accepted, CommandEnvelope, CommandResult, Idempotency
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.hash_chain import public_event
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import canonical
from quorate.eventlog.shared_clock import SharedClock
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.transactions import DatabaseTransaction, DatabaseUnavailable, Query
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.state_store import SqlStateStore
from quorate.runtime.clock import Nanoseconds
from tests.support.postgres import shared
from tests.unit.support.sample_commands import TENANT_KEY, register
from tests.unit.support.specification import NOON

T = TypeVar("T")
TENANT, OTHER_TENANT = "acme", "globex"
ACTOR = "keytenant"
WINDOW_SECONDS = 300.0
WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.005

# -- Databases -----------------------------------------------------------------


class ValueRejected(Exception):
    """The column cannot contain the value."""


class Platform(Protocol):
    """An empty database of one kind, for one test."""

    def database(self) -> Database:
        """Return a new adapter, as each process that opens the database has one."""

    def overwrite(self, statement: str, *values: Any) -> None:  # noqa: ANN401 - cells.
        """Change append-only rows, like an attacker with access to the database.

        Raises ValueRejected when the column cannot contain such a value.
        """


class Sqlite:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "quorate.db"

    def database(self) -> SqliteDatabase:
        return SqliteDatabase(self.path)

    def overwrite(self, statement: str, *values: Any) -> None:  # noqa: ANN401 - cells.
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for change in ("update", "delete"):
                connection.execute(f"DROP TRIGGER IF EXISTS events_no_{change}")
            connection.execute(statement, values)


class Postgres:
    """A separate schema on the server that all tests share."""

    def __init__(self, _folder: Path) -> None:
        self.url = shared().database_url()

    def database(self) -> Database:
        return create_database(self.url)

    def overwrite(self, statement: str, *values: Any) -> None:  # noqa: ANN401 - cells.
        if any(isinstance(value, float) for value in values):
            raise ValueRejected("the driver rounds fractions to integers")
        numbers = itertools.count(1)
        sql = re.sub(r"\?", lambda _: f"${next(numbers)}", statement)
        with ThreadPoolExecutor(1) as thread:  # The event loop of this thread is running.
            thread.submit(asyncio.run, self._overwrite(sql, values)).result()

    async def _overwrite(self, sql: str, values: Sequence[Any]) -> None:
        connection = await PostgresDatabase(self.url).connect("test")
        try:
            await connection.execute("ALTER TABLE events DISABLE TRIGGER ALL")
            await connection.execute(sql, *values)
        except asyncpg.DataError as error:
            raise ValueRejected(str(error)) from error
        finally:
            await connection.close()


PLATFORMS: Mapping[str, Callable[[Path], Platform]] = {
    "postgresql": Postgres,
    "sqlite": Sqlite,
}

# -- A database that can be held, observed and made to fail --------------------


class ObservedDatabase:
    """Wraps a real database, counts commits, and injects delays and failures."""

    def __init__(self, real: Database) -> None:
        self.real = real
        self.dialect = real.dialect
        self.shared_time = real.shared_time
        self.commits = 0
        self.fail_before_commit = 0  # The number of commits to fail before they happen,
        self.fail_after_commit = 0  # to fail after they happened,
        self.fail_reopen = 0  # and of attempts to reopen that fail.
        self.reopened = 0
        self.held = asyncio.Event()  # A transaction waits before its commit.
        self.reopening = asyncio.Event()
        self._gate = asyncio.Event()
        self._gate.set()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let no transaction end inside this block."""
        self._gate.clear()
        try:
            yield
        finally:
            self._gate.set()

    async def open(self, schema: Schema | None = None) -> None:
        await self.real.open(schema)

    @property
    def lost(self) -> bool:
        return self.real.lost

    async def reopen(self) -> None:
        self.reopening.set()
        if self.fail_reopen:
            self.fail_reopen -= 1
            raise DatabaseUnavailable("still no connection")
        await self.real.reopen()
        self.reopened += 1

    async def verify_files(self) -> None:
        await self.real.verify_files()

    async def close(self) -> None:
        await self.real.close()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[DatabaseTransaction]:
        async with self.real.write() as transaction:
            yield transaction
            self.held.set()
            await self._gate.wait()
            self.held.clear()
            if self.fail_before_commit:
                self.fail_before_commit -= 1
                raise DatabaseUnavailable("planted: nothing was written")
        self.commits += 1
        if self.fail_after_commit:
            self.fail_after_commit -= 1
            raise DatabaseUnavailable("planted: it was written without an acknowledgement")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[DatabaseTransaction]:
        async with self.real.read() as transaction:
            yield transaction

    async def define(self, work: Callable[[Connection, Callable[[], None]], T]) -> T:
        return await self.real.define(work)

    async def inspect(self, query: Callable[[Connection], T]) -> T:
        return await self.real.inspect(query)

    def notify_commit(self) -> None:
        self.real.notify_commit()

    async def listen(self, on_commit: Callable[[], None]) -> NoReturn:
        await self.real.listen(on_commit)

    def lead(self) -> AbstractAsyncContextManager[asyncio.Event]:
        return self.real.lead()

    async def wall_clock(self) -> tuple[Nanoseconds, int]:
        return await self.real.wall_clock()

    def rows(self, parameter: str, columns: int) -> tuple[FromClause, list[ColumnElement[str]]]:
        return self.real.rows(parameter, columns)


class Statement(Query):
    """A statement given as SQL text."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.parameters = ()
        self.packed = False
        self.row = tuple
        self._defaults = {}


# -- The stage -----------------------------------------------------------------


class SetClock:
    """A clock that shows noon until a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> Timestamp:
        return self.now

    def move(self, *, hours: float = 0, minutes: float = 0, milliseconds: int = 0) -> None:
        self.now = Timestamp(self.now + round((hours * 60 + minutes) * 60_000) + milliseconds)


class CountedIds:
    """Sequential ids in the format of real ones; each kind has its own counter."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._next = 0

    def __call__(self, now: Timestamp) -> str:
        self._next += 1
        time = f"{now:012x}"
        return f"{time[:8]}-{time[8:]}-7{self._kind}-8000-{self._next:012x}"


@record
class Key:
    """An idempotency key and the request that it identifies."""

    key: str
    request: str = "a request"
    caller: str = ACTOR
    version: bytes = b"\1"

    def idempotency(self, command: Command) -> Idempotency:
        return Idempotency(
            caller=self.caller,
            command=type(command).__name__,
            key=self.key,
            fingerprint=self.version + hashlib.sha256(self.request.encode()).digest(),
        )


class Stage:
    def __init__(
        self,
        platform: Platform,
        *,
        clock: Clock | None = None,
        age_clock: Clock | None = None,
        shared_clock: SharedClock | None = None,
    ) -> None:
        self.platform = platform
        self.clock = SetClock()
        self.event_ids, self.command_ids = CountedIds("e00"), CountedIds("c00")
        self.committed: list[Sequence[RecordedEvent]] = []
        self._time = clock or self.clock
        self.quotas = UNLIMITED  # Takes effect on a restart.
        self._age_clock, self._shared_clock = age_clock, shared_clock
        self._build()

    def _build(self) -> None:
        self.database = ObservedDatabase(self.platform.database())
        self.log = EventStore(self.database)
        self.state_store = SqlStateStore(self.database)
        self.command_bus = CommandBus(
            self.log,
            self.state_store,
            clock=self._time,
            new_id=self.event_ids,
            window_seconds=WINDOW_SECONDS,
            on_commit=self.committed.append,
            quotas=self.quotas,
            age_clock=self._age_clock,
            shared_clock=self._shared_clock,
        )

    async def open(self) -> None:
        await self.log.open(SCHEMA)
        self.command_bus.open()

    async def close(self) -> None:
        await self.command_bus.close()
        await self.log.close()

    async def restart(self) -> None:
        """Close, and open the same database like another process."""
        await self.close()
        self._build()
        await self.open()

    # -- Submitting commands -----------------------------------------------------

    def envelope(
        self,
        command: Command,
        *,
        tenant: str = TENANT,
        actor: str = ACTOR,
        key: Key | None = None,
        render: Callable[[Any], bytes] = orjson.dumps,
        grant_in: Callable[[bytes], Any] | None = None,
        metered: bool = False,
        pausable: bool = False,
        urgent: bool = False,
    ) -> CommandEnvelope:
        return CommandEnvelope(
            tenant=tenant,
            actor=actor,
            command_id=self.command_ids(self.clock.now),
            command=command,
            render=render,
            grant_in=grant_in,
            idempotency=key.idempotency(command) if key else None,
            metered=metered,
            pausable=pausable,
            urgent=urgent,
        )

    async def submit(self, command: Command, **more: Any) -> CommandResult:  # noqa: ANN401 - fields of an envelope.
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            return await self.command_bus.submit(self.envelope(command, **more))

    def start(self, command: Command, **more: Any) -> asyncio.Task[CommandResult]:  # noqa: ANN401
        """Submit a command without waiting for its result."""
        return asyncio.create_task(self.submit(command, **more))

    async def execute(self, *commands: Command, tenant: str = TENANT) -> None:
        """Execute commands one after the other; each must be accepted."""
        for command in commands:
            answer = await self.submit(command, tenant=tenant)
            assert isinstance(answer, Accepted), answer

    async def create_agents(self, *agents: str, tenant: str = TENANT) -> None:
        """Create a tenant and register its agents."""
        await self.execute(CreateTenant(tenant_id=tenant), tenant=tenant)
        await self.execute(*(register(name, by=TENANT_KEY) for name in agents), tenant=tenant)

    # -- Reading the log ---------------------------------------------------------

    async def events(self, tenant: str | None = None) -> list[RecordedEvent]:
        found = await self.log.after(0, limit=1_000_000)
        return [event for event in found if tenant in {None, event.tenant}]

    async def types(self, tenant: str | None = None) -> list[str]:
        return [event.type for event in await self.events(tenant)]

    async def lines(self, tenant: str = TENANT) -> list[bytes]:
        """Return the lines of a tenant's export."""
        return [canonical(public_event(event)) for event in await self.events(tenant)]


def body(answer: CommandResult) -> Any:  # noqa: ANN401 - JSON.
    assert isinstance(answer, Accepted), answer
    return orjson.loads(answer.body)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until the condition is true; fail after WAIT_SECONDS_MAX."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            result = condition()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(POLL_SECONDS)
