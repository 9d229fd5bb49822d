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
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.transactions import DatabaseTransaction, DatabaseUnavailable, Query
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.state_store import SqlStateStore
from quorate.runtime.clock import Nanoseconds
from tests.support.postgres import shared
from tests.unit.support.scenario import TENANT_KEY, register
from tests.unit.support.specification import NOON

T = TypeVar("T")
TENANT, OTHER_TENANT = "acme", "globex"
ACTOR = "keytenant"
WINDOW_SECONDS = 300.0
PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.005

# -- Databases -----------------------------------------------------------------


class NotTaken(Exception):
    """The database itself keeps a value out."""


class Platform(Protocol):
    """A database of one kind, empty, for one test."""

    def database(self) -> Database:
        """What a process opens; the next process opens another one on the same database."""

    def overwrite(self, statement: str, *values: Any) -> None:  # noqa: ANN401 - cells.
        """Change what must not be changed, as someone would who gets at the database itself.

        Raises NotTaken when the column cannot hold such a value.
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
    """A schema of its own on the server that all tests share."""

    def __init__(self, _folder: Path) -> None:
        self.url = shared().database_url()

    def database(self) -> Database:
        return create_database(self.url)

    def overwrite(self, statement: str, *values: Any) -> None:  # noqa: ANN401 - cells.
        if any(isinstance(value, float) for value in values):
            raise NotTaken("the driver makes whole numbers of fractions")
        numbers = itertools.count(1)
        sql = re.sub(r"\?", lambda _: f"${next(numbers)}", statement)
        with ThreadPoolExecutor(1) as thread:  # A loop is running here: this takes another.
            thread.submit(asyncio.run, self._overwrite(sql, values)).result()

    async def _overwrite(self, sql: str, values: Sequence[Any]) -> None:
        connection = await PostgresDatabase(self.url).connect("test")
        try:
            await connection.execute("ALTER TABLE events DISABLE TRIGGER ALL")
            await connection.execute(sql, *values)
        except asyncpg.DataError as error:
            raise NotTaken(str(error)) from error
        finally:
            await connection.close()


PLATFORMS: Mapping[str, Callable[[Path], Platform]] = {
    "postgresql": Postgres,
    "sqlite": Sqlite,
}

# -- A back end that can be held, watched and made to fail ---------------------


class Watched:
    """The real back end, and what a test wants to know or to happen between it and the log."""

    def __init__(self, real: Database) -> None:
        self.real = real
        self.dialect = real.dialect
        self.shared_time = real.shared_time
        self.commits = 0
        self.fail_before_commit = 0  # So many commits will not happen,
        self.fail_after_commit = 0  # so many will, and say that they did not,
        self.fail_reopen = 0  # and so many attempts to reconnect will be in vain.
        self.reopened = 0
        self.held = asyncio.Event()  # A transaction waits at the gate.
        self.reopening = asyncio.Event()
        self._gate = asyncio.Event()
        self._gate.set()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """No transaction ends inside this block."""
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
            raise DatabaseUnavailable("planted: it was written, and nobody knows")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[DatabaseTransaction]:
        async with self.real.read() as transaction:
            yield transaction

    async def define(self, work: Callable[[Connection, Callable[[], None]], T]) -> T:
        return await self.real.define(work)

    async def inspect(self, look: Callable[[Connection], T]) -> T:
        return await self.real.inspect(look)

    def notify_commit(self) -> None:
        self.real.notify_commit()

    async def listen(self, heard: Callable[[], None]) -> NoReturn:
        await self.real.listen(heard)

    def lead(self) -> AbstractAsyncContextManager[asyncio.Event]:
        return self.real.lead()

    async def wall_clock(self) -> Nanoseconds:
        return await self.real.wall_clock()

    def rows(self, parameter: str, columns: int) -> tuple[FromClause, list[ColumnElement[str]]]:
        return self.real.rows(parameter, columns)


class Statement(Query):
    """SQL as it stands, for what no query of ours would ask."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.parameters = ()
        self.packed = False
        self.row = tuple
        self._defaults = {}


# -- The stage -----------------------------------------------------------------


class SetClock:
    """Stands at noon until it is set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> Timestamp:
        return self.now

    def move(self, *, hours: float = 0, minutes: float = 0, milliseconds: int = 0) -> None:
        self.now = Timestamp(self.now + round((hours * 60 + minutes) * 60_000) + milliseconds)


class CountedIds:
    """Shaped like the real ones, and the same in every run; each kind is counted for itself."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._next = 0

    def __call__(self, now: Timestamp) -> str:
        self._next += 1
        time = f"{now:012x}"
        return f"{time[:8]}-{time[8:]}-7{self._kind}-8000-{self._next:012x}"


@record
class Key:
    """An idempotency key, and the request it came with."""

    key: str
    request: str = "a request"
    caller: str = ACTOR

    def idempotency(self, command: Command) -> Idempotency:
        return Idempotency(
            caller=self.caller,
            command=type(command).__name__,
            key=self.key,
            fingerprint=hashlib.sha256(self.request.encode()).digest(),
        )


class Stage:
    def __init__(self, platform: Platform, *, clock: Clock | None = None) -> None:
        self.platform = platform
        self.clock = SetClock()
        self.event_ids, self.command_ids = CountedIds("e00"), CountedIds("c00")
        self.committed: list[Sequence[RecordedEvent]] = []
        self._time = clock or self.clock
        self._build()

    def _build(self) -> None:
        self.database = Watched(self.platform.database())
        self.log = EventStore(self.database)
        self.board = SqlStateStore(self.database)
        self.door = CommandBus(
            self.log,
            self.board,
            clock=self._time,
            new_id=self.event_ids,
            window_seconds=WINDOW_SECONDS,
            on_commit=self.committed.append,
        )

    async def open(self) -> None:
        await self.log.open(SCHEMA)
        self.door.open()

    async def close(self) -> None:
        await self.door.close()
        await self.log.close()

    async def restart(self) -> None:
        """Another process opens the same database."""
        await self.close()
        self._build()
        await self.open()

    # -- Asking ----------------------------------------------------------------

    def order(
        self,
        command: Command,
        *,
        tenant: str = TENANT,
        actor: str = ACTOR,
        key: Key | None = None,
        render: Callable[[Any], bytes] = orjson.dumps,
    ) -> CommandEnvelope:
        return CommandEnvelope(
            tenant=tenant,
            actor=actor,
            command_id=self.command_ids(self.clock.now),
            command=command,
            render=render,
            idempotency=key.idempotency(command) if key else None,
        )

    async def ask(self, command: Command, **more: Any) -> CommandResult:  # noqa: ANN401 - of an order.
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.door.submit(self.order(command, **more))

    def asking(self, command: Command, **more: Any) -> asyncio.Task[CommandResult]:  # noqa: ANN401
        """Asked for, and not waited for."""
        return asyncio.create_task(self.ask(command, **more))

    async def told(self, *commands: Command, tenant: str = TENANT) -> None:
        """Given all this, each carried out."""
        for command in commands:
            answer = await self.ask(command, tenant=tenant)
            assert isinstance(answer, Accepted), answer

    async def told_of(self, *agents: str, tenant: str = TENANT) -> None:
        """Given a tenant and its agents."""
        await self.told(CreateTenant(tenant_id=tenant), tenant=tenant)
        await self.told(*(register(name, by=TENANT_KEY) for name in agents), tenant=tenant)

    # -- Looking -----------------------------------------------------------------

    async def events(self, tenant: str | None = None) -> list[RecordedEvent]:
        found = await self.log.after(0, limit=1_000_000)
        return [event for event in found if tenant in {None, event.tenant}]

    async def types(self, tenant: str | None = None) -> list[str]:
        return [event.type for event in await self.events(tenant)]

    async def lines(self, tenant: str = TENANT) -> list[bytes]:
        """A tenant's log as it is exported."""
        return [canonical(public_event(event)) for event in await self.events(tenant)]


def body(answer: CommandResult) -> Any:  # noqa: ANN401 - JSON.
    assert isinstance(answer, Accepted), answer
    return orjson.loads(answer.body)


async def until(happened: Callable[[], bool | Awaitable[bool]]) -> None:
    """Return as soon as it has; fail when it has not in time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = happened()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(LOOK_SECONDS)
