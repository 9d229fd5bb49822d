"""PostgreSQL: any number of processes share one log; commits are durable on the server.

* The log's lock is an advisory lock, taken first in each write transaction. Later reads therefore
  see all commits, and positions are assigned in commit order. A database sequence would not do: a
  reader that has seen 8 would never see a 7 that is committed later.
* The server ends idle transactions, so a frozen process releases the lock.
* Only a primary with durable commits is used; each new write connection checks it.
* All lookups use indexes; the planner's other methods are switched off. The writer discards its
  plans regularly, because a plan for an empty table is bad for a full one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import asyncpg
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.postgresql import asyncpg as postgresql_asyncpg
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from quorate.eventlog.database import DatabaseUnusable, Schema, SchemaOutdated
from quorate.eventlog.postgres.clock import READING, measure_clock
from quorate.eventlog.postgres.connection import (
    CONNECTION_ERRORS,
    PostgresTransaction,
    abort_connection,
    translate_errors,
)
from quorate.eventlog.postgres.leader_lock import SETTINGS as LEADER_SETTINGS
from quorate.eventlog.postgres.leader_lock import lead_with_lock
from quorate.eventlog.postgres.location import DatabaseLocation
from quorate.eventlog.postgres.notifications import CommitNotifier
from quorate.eventlog.postgres.statistics import keep_analyzed
from quorate.eventlog.transactions import (
    DatabaseTransaction,
    DatabaseUnavailable,
    commit_on_exit,
)
from quorate.runtime.clock import Nanoseconds

T = TypeVar("T")
VERSION_MIN = 140_000  # As server_version_num; earlier versions cannot end idle sessions.
READERS_MAX = 8
STATEMENT_SECONDS_MAX = 15.0
READER_WAIT_SECONDS_MAX = 10.0
CLOSE_SECONDS_MAX = 1.0
IDLE_IN_TRANSACTION_SECONDS_MAX = 2
MAINTENANCE_IDLE_SECONDS_MAX = 600
PLANS_KEPT_SECONDS = 0.5
_LOCK = "SELECT pg_advisory_xact_lock({key})"
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BY_INDEX = {
    f"enable_{other}": "off"
    for other in ("bitmapscan", "hashjoin", "material", "memoize", "mergejoin", "seqscan")
}
_WRITER = {**_BY_INDEX, "plan_cache_mode": "force_generic_plan"}
_READER = {**_BY_INDEX, "plan_cache_mode": "force_custom_plan"}
_STATE = """
SELECT current_setting('server_version_num')::int AS version,
       current_setting('server_encoding') AS encoding,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       pg_is_in_recovery() AS standby
"""


class PostgresDatabase:
    """The log in a database that several processes may write."""

    # Not the transaction's start time: the transaction may have waited for the log's lock since.
    shared_time: Select[Any] | None = READING

    def __init__(
        self, url: str, *, password_file: Path | None = None, no_statement_timeout: bool = False
    ) -> None:
        self._location = DatabaseLocation.from_url(url, password_file)
        self._no_statement_timeout = no_statement_timeout
        self._statement_seconds = None if no_statement_timeout else STATEMENT_SECONDS_MAX
        self.dialect: Dialect = postgresql_asyncpg.dialect()  # type: ignore[no-untyped-call]
        self._writer: asyncpg.Connection | None = None
        self._readers: asyncpg.Pool | None = None
        self._releases: set[asyncio.Task[None]] = set()
        self._statistics: asyncio.Task[None] | None = None
        self._lock = f"BEGIN; {_LOCK.format(key=self.lock_key('log'))}"
        self._plan_at = 0.0
        self._notifier = CommitNotifier(lambda: self.connect("notifier"), self._location.channel)

    def __str__(self) -> str:
        return str(self._location)

    @property
    def schema(self) -> str:
        return self._location.schema

    def lock_key(self, purpose: str) -> str:
        """Return SQL for the key of an advisory lock; each schema has its own keys."""
        name = f"quorate.{purpose}.{self.schema}".replace("'", "''")
        return f"hashtextextended('{name}', 0)"

    @property
    def lost(self) -> bool:
        return self._writer is not None and self._writer.is_closed()

    async def open(self, schema: Schema | None = None) -> None:
        try:
            if schema is not None:
                await self._check(schema)
            await self._open_writer()
            await self._open_readers()
            if not self._no_statement_timeout:
                self._statistics = asyncio.create_task(keep_analyzed(self._readers))
        except BaseException:
            await self.close()
            raise

    async def _check(self, schema: Schema) -> None:
        try:
            await self.inspect(schema.check)
        except SchemaOutdated as error:
            raise SchemaOutdated(
                f"{self}: {error}. As the owner of the tables, run `quorate db upgrade"
                " --database-url ... --grant-to ROLE`, with the service's role"
            ) from error

    async def define(self, work: Callable[[Connection, Callable[[], None]], T]) -> T:
        async with self._engine_connection() as connection:
            await connection.exec_driver_sql(_LOCK.format(key=self.lock_key("define")))
            await self._create_schema(connection)

            def run_locked(synchronous: Connection) -> T:
                def lock_log() -> None:
                    synchronous.exec_driver_sql(_LOCK.format(key=self.lock_key("log")))

                return work(synchronous, lock_log)

            return await connection.run_sync(run_locked)

    async def _create_schema(self, connection: AsyncConnection) -> None:
        """Create the schema unless it exists; a role without that permission may still use it."""
        found = await connection.execute(select(func.current_schema()))
        if found.scalar() is None:
            await connection.execute(CreateSchema(self.schema, if_not_exists=True))

    async def inspect(self, query: Callable[[Connection], T]) -> T:
        async with self._engine_connection() as connection:
            return await connection.run_sync(query)

    @asynccontextmanager
    async def _engine_connection(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction on a SQLAlchemy connection, for schema work."""
        engine = create_async_engine(
            "postgresql+asyncpg://", poolclass=NullPool, async_creator=self._connect_to_define
        )
        try:
            with translate_errors():
                async with engine.begin() as connection:
                    yield connection
        except DBAPIError as error:
            reason = error.orig.__cause__ if error.orig is not None else error
            raise DatabaseUnavailable(f"{self}: {reason}") from error
        finally:
            await engine.dispose()

    async def _connect_to_define(self) -> asyncpg.Connection:
        connection = await self.connect("define", statement_seconds=None)
        try:
            _check(await connection.fetchrow(_STATE), str(self))
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _open_writer(self) -> None:
        self._writer = await self.connect(
            "writer", statement_seconds=self._statement_seconds, settings=_WRITER
        )
        with translate_errors():
            _check(await self._writer.fetchrow(_STATE), str(self))

    async def _open_readers(self) -> None:
        with translate_errors():
            self._readers = await asyncpg.create_pool(
                min_size=1,
                max_size=READERS_MAX,
                reset=_do_nothing,  # ``read`` ends its transaction.
                **self._options("reader", self._statement_seconds, _READER),
            )

    async def connect(
        self,
        name: str,
        *,
        statement_seconds: float | None = STATEMENT_SECONDS_MAX,
        settings: Mapping[str, str] | None = None,
    ) -> asyncpg.Connection:
        """Open a separate connection; raises DatabaseUnavailable."""
        options = self._options(name, statement_seconds, settings or {})
        try:
            with translate_errors():
                return await asyncpg.connect(**options)
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(f"{self}: {error}") from error

    def _options(
        self, name: str, statement_seconds: float | None, settings: Mapping[str, str]
    ) -> dict[str, Any]:
        # Schema work has no statement timeout, and computes rows between its statements.
        is_maintenance = self._no_statement_timeout or statement_seconds is None
        idle = MAINTENANCE_IDLE_SECONDS_MAX if is_maintenance else IDLE_IN_TRANSACTION_SECONDS_MAX
        timeout = {"idle_in_transaction_session_timeout": f"{idle}s"}
        return self._location.options(name, statement_seconds, {**settings, **timeout})

    async def reopen(self) -> None:
        await self._close_writer()
        await self._open_writer()

    async def verify_files(self) -> None:
        """Verify nothing: the server owns its files."""

    async def close(self) -> None:
        if self._statistics is not None:
            self._statistics.cancel()
            await asyncio.wait({self._statistics}, timeout=CLOSE_SECONDS_MAX)
            self._statistics = None
        await self._close_writer()
        if self._readers is not None:
            readers, self._readers = self._readers, None
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await readers.close()
                    return
            readers.terminate()

    async def _close_writer(self) -> None:
        """Close at once, because the server may not respond."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.terminate()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[DatabaseTransaction]:
        if self._writer is None:
            message = "the log is not open for writing"
            raise DatabaseUnavailable(message)
        transaction = PostgresTransaction(self._writer, self._begin())
        async with commit_on_exit(transaction):
            yield transaction

    def _begin(self) -> str:
        now = time.monotonic()
        if now < self._plan_at:
            return self._lock
        self._plan_at = now + PLANS_KEPT_SECONDS
        return f"DISCARD PLANS; {self._lock}"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[DatabaseTransaction]:
        if self._readers is None:
            message = "the log is not open"
            raise DatabaseUnavailable(message)
        with translate_errors():
            # The pool's own timeout can lose a cancellation (asyncio.wait_for, Python 3.11).
            async with asyncio.timeout(READER_WAIT_SECONDS_MAX):
                reader = await self._readers.acquire()
        transaction = PostgresTransaction(reader, _READ)
        must_wait = True
        try:
            yield transaction
        except DatabaseUnavailable:
            abort_connection(reader)  # It would not respond to a rollback.
            raise
        except asyncio.CancelledError:
            must_wait = False  # The server may not respond.
            raise
        finally:
            release = asyncio.create_task(self._release(reader, transaction))
            self._releases.add(release)
            release.add_done_callback(self._releases.discard)
            if must_wait:
                await asyncio.shield(release)

    async def _release(self, reader: Any, transaction: PostgresTransaction) -> None:  # noqa: ANN401
        try:
            await transaction.roll_back()
        except DatabaseUnavailable:
            pass  # The connection was aborted.
        finally:
            if self._readers is not None:
                with suppress(*CONNECTION_ERRORS):
                    await self._readers.release(reader)

    # -- Other processes on the same database ---------------------------------------

    def notify_commit(self) -> None:
        self._notifier.notify_commit()

    async def listen(self, on_commit: Callable[[], None]) -> NoReturn:
        await self._notifier.listen(on_commit)

    def lead(self) -> AbstractAsyncContextManager[asyncio.Event]:
        return lead_with_lock(
            lambda: self.connect("leader", settings=LEADER_SETTINGS), self.lock_key("leader")
        )

    async def wall_clock(self) -> tuple[Nanoseconds, int]:
        async with self.read() as transaction:
            return await measure_clock(transaction, self.dialect)

    def rows(self, parameter: str, columns: int) -> tuple[FromClause, list[ColumnElement[str]]]:
        """Return the rows of the JSON parameter.

        The condition that each element is an array is always true. With it the planner expects few
        rows and looks each one up, instead of joining them with the whole table.
        """
        array = sql_cast(bindparam(parameter, type_=Text()), JSON)
        element = func.json_array_elements(array).table_valued(sql_column("value", JSON))
        is_array = func.json_typeof(element.c.value) == literal_column("'array'")
        each = select(element.c.value).where(is_array).subquery(f"{parameter}_rows")
        cells: list[ColumnElement[str]] = [
            each.c.value.op("->>")(literal_column(str(index))) for index in range(columns)
        ]
        return each, cells


def _check(state: Any, location: str) -> None:  # noqa: ANN401 - a row.
    """Raise DatabaseUnusable unless an acknowledged commit is durable here."""
    if state["version"] < VERSION_MIN:
        raise DatabaseUnusable(f"{location}: PostgreSQL {VERSION_MIN // 10_000} or newer is needed")
    if state["encoding"] != "UTF8":
        raise DatabaseUnusable(f"{location}: its encoding is {state['encoding']}; UTF8 is needed")
    if state["standby"]:
        raise DatabaseUnusable(f"{location} is a standby: name the primary")
    for setting in ("synchronous_commit", "fsync", "full_page_writes"):
        if state[setting] == "off":
            raise DatabaseUnusable(
                f"{location}: {setting} is off, so an acknowledged commit could be lost"
            )


async def _do_nothing(_connection: Any) -> None:  # noqa: ANN401
    pass
