"""What operations that read answer about a log: as of a moment, and where the log ends there.

Handlers are called without HTTP, authentication and rate limits.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import insert, select

from quorate.api.registry import handler_for
from quorate.application.execution import problem_of
from quorate.application.mail.tenant_domains import TenantDomains
from quorate.application.operations import Call, Reply
from quorate.application.read_budget import ReadBudget
from quorate.contracts.problems import Problem
from quorate.contracts.registry import OPERATIONS_BY_NAME
from quorate.contracts.validation import validate
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.moments import clock_of_readers
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.tables import message_bodies
from quorate.eventlog.transactions import Query
from quorate.projections.history.folding import HistoryFolder
from quorate.projections.history.moments import Moments
from quorate.projections.mail.domains import MailDomainQueries
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader
from quorate.projections.rebuild import rebuild
from quorate.projections.tenant_queries import TenantQueries
from quorate.server.container import Options
from quorate.server.mail import create_mail_service
from quorate.server.sessions import create_sessions_service

RETENTION_HOURS = 1.0
EVENTS_TOGETHER = 1_000


@record
class Read:
    """One request of an operation that reads."""

    operation: str
    principal: Principal
    path: dict[str, str]
    query: dict[str, Any]


@record
class Answer:
    """What was answered: the body, or the problem; and the headers without the moment's."""

    body: bytes
    sequence: int | None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    as_of: bytes | None = None


class ReadingService:
    """Answers reads of one log, at the time of ``clock``."""

    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        options = Options(data_dir=Path("unused"), nats_port=0)
        now = clock_of_readers(clock)
        domains = TenantDomains("agents.localhost", MailDomainQueries(log))
        self.log = log
        self.service: Any = SimpleNamespace(
            log=log,
            clock=clock,
            reader=Reader(log, now),
            notifications=NotificationQueries(log, now, retention_hours=RETENTION_HOURS),
            mail=create_mail_service(log, options, domains, now),
            sessions=create_sessions_service(log, options, now),
            tenants=TenantQueries(log, now),
            tenant_domains=domains,
            read_budget=ReadBudget(),
            moments=Moments(log, clock),
        )

    async def answer(self, read: Read, as_of: int | str | None = None) -> Answer:
        operation = OPERATIONS_BY_NAME[read.operation]
        assert operation.query is not None
        call = Call(read.path, {})
        call.principal = read.principal
        query = read.query if as_of is None else {**read.query, "asOf": str(as_of)}
        try:
            call.query = validate(operation.query, query)
            reply = await handler_for(operation, self.service)(call)
        except DomainError as error:
            return _answer_of(problem_of(error))
        except Problem as problem:
            return _answer_of(problem)
        assert isinstance(reply, Reply)
        headers = dict(reply.headers)
        as_of_header = headers.pop(b"quorate-as-of", None)
        headers.pop(b"quorate-as-of-time", None)
        links = tuple((name, _without_moment(value)) for name, value in headers.items())
        return Answer(body=reply.body, sequence=reply.sequence, headers=links, as_of=as_of_header)


def _answer_of(problem: Problem) -> Answer:
    headers = dict(problem.headers)
    as_of = headers.pop("Quorate-As-Of", None)
    body = f"{problem.code} {problem.detail} {problem.details}".encode()
    return Answer(body=body, sequence=None, as_of=None if as_of is None else as_of.encode())


def _without_moment(value: bytes) -> bytes:
    """Return a link without ``asOf``."""
    address, found, rest = value.partition(b"asOf=")
    if not found:
        return value
    return address + rest[rest.index(b"&") + 1 :]


async def follow(log: EventStore, events_per_part: int) -> int:
    """Fold the whole log into its history; return the number of events."""
    folder = HistoryFolder(log.database)
    until = 0
    while (part := await folder.read_part(events_per_part)) is not None:
        async with log.write() as transaction:
            assert await folder.store(transaction, part)
        until = part.until
    return until


class StoppedLog:
    """A copy of a log that ends at a position; it can only grow."""

    def __init__(self, source: EventStore, log: EventStore) -> None:
        self._source = source
        self.log = log
        self.position = 0
        self.now = Timestamp(0)
        self.service = ReadingService(log, lambda: self.now)

    async def advance(self, position: int, now: Timestamp | None = None) -> None:
        """Append the events up to a position; the clock then has the time of the last one."""
        while self.position < position:
            count = min(EVENTS_TOGETHER, position - self.position)
            rows = await self._source.after(self.position, count)
            async with self.log.write() as transaction:
                await self.log.append(transaction, rows)
            self.position, self.now = rows[-1].position, rows[-1].at
        self.now = self.now if now is None else now
        await rebuild(self.log.database)

    async def copy_contents(self) -> None:
        """Copy the contents of now: what was erased stays erased."""
        read = Query(select(message_bodies), self._source.database.dialect)
        write = Query(insert(message_bodies), self.log.database.dialect)
        async with self._source.read() as transaction:
            rows = [tuple(row) for row in await transaction.fetch(read, {})]
        if rows:
            async with self.log.write() as transaction:
                await transaction.write(write, rows)


@asynccontextmanager
async def stopped_log(source: EventStore, folder: Path) -> AsyncIterator[StoppedLog]:
    """Open an empty copy of a log."""
    folder.mkdir(exist_ok=True)
    log = EventStore(SqliteDatabase(folder / "stopped.db"))
    await log.open(SCHEMA)
    try:
        log.id = source.id
        stopped = StoppedLog(source, log)
        await stopped.copy_contents()
        yield stopped
    finally:
        await log.close()


__all__ = ["Answer", "Read", "ReadingService", "StoppedLog", "follow", "stopped_log"]
