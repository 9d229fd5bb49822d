"""The composition root: everything is built here, once, and handed to what needs it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from quorate.api.keyring import KeyRing
from quorate.api.over_nats import OverNats
from quorate.api.service import Service
from quorate.api.tails import Tails
from quorate.api.timer import Timer
from quorate.bus.push import Push
from quorate.domain.record import record
from quorate.eventlog.clock import FlowingClock
from quorate.eventlog.door import Door
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.log import EventLog, LogDamaged
from quorate.eventlog.recorded import Recorded
from quorate.eventlog.session import Broken
from quorate.eventlog.sqlite import SqliteBackend
from quorate.projections import tables
from quorate.projections.agent_names import AgentNames
from quorate.projections.board import Board
from quorate.projections.noticed import NoticesReader
from quorate.projections.overdue import OverdueWork
from quorate.projections.reader import Reader

DATABASE = "quorate.db"
CHECK_PAUSE_SECONDS = 0.05  # After each page of the check in the background.
_logger = structlog.get_logger(__name__)


@record
class Options:
    """What an operator may choose. Port 0 means any free one."""

    data_dir: Path
    database: Path | None = None  # When it is not in the data folder.
    nats_port: int = 4222
    nats_url: str | None = None
    window_seconds: float = 300.0
    notice_retention_hours: float = 168.0


@record
class Running:
    """The service, and what pushes."""

    service: Service
    push: Push


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Running]:
    """The service from its first breath to its last: log, door, NATS, timer, in this order."""
    log = EventLog(SqliteBackend(options.database or options.data_dir / DATABASE))
    await log.open(tables.metadata)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(log.close)
        clock = await _clock(log)
        running_ = _build(log, options, clock)
        await _check_tail(log, running_.service.door)
        running_.service.door.open()
        stack.push_async_callback(running_.service.door.close)
        stack.push_async_callback(running_.push.stop)
        await running_.push.start()
        timer = Timer(running_.service.door, OverdueWork(log), clock, Uuid7())
        await stack.enter_async_context(_in_background(timer.run(), "timer"))
        await stack.enter_async_context(
            _in_background(_check_all(log, running_.service.door), "log check")
        )
        service = running_.service
        await stack.enter_async_context(
            _in_background(service.tails.end_revoked(service.reader.standing), "revoked keys")
        )
        stack.callback(service.tails.close)
        yield running_


async def _clock(log: EventLog) -> FlowingClock:
    """One for all: what the log says has happened is never in the future of any of them."""
    clock = FlowingClock()
    async with log.read() as session:
        clock.not_before((await log.head(session)).at)
    return clock


def _build(log: EventLog, options: Options, clock: FlowingClock) -> Running:
    reader, new_id = Reader(log, clock), Uuid7()
    keyring = KeyRing(reader.key)
    tails = Tails()
    push = Push(
        data_dir=options.data_dir,
        authenticate=keyring.authenticate,
        committed=log,
        nats_port=options.nats_port,
        nats_url=options.nats_url,
        standing=reader.standing,
    )

    def committed(rows: Sequence[Recorded]) -> None:
        push.wake(rows)
        tails.wake(rows)

    door = Door(
        log,
        Board(log.backend),
        clock=clock,
        new_id=new_id,
        window_seconds=options.window_seconds,
        on_commit=committed,
    )
    service = Service(
        log=log,
        door=door,
        reader=reader,
        notices=NoticesReader(log, clock, retention_hours=options.notice_retention_hours),
        keyring=keyring,
        tails=tails,
        clock=clock,
        new_id=new_id,
        nats_connected=lambda: bool(push.status()["connected"]),
    )
    push.serve(OverNats(service, AgentNames(log)))
    return Running(service=service, push=push)


async def _check_tail(log: EventLog, door: Door) -> None:
    """A log whose end was tampered with is served to readers, and nothing is added to it."""
    try:
        await log.check_tail()
    except LogDamaged as damage:
        door.stop_writing(str(damage))


async def _check_all(log: EventLog, door: Door) -> None:
    """The same for all that came before, without hurry."""
    if door.damage:
        return  # What can be wrong was found already.
    try:
        await log.check_range(0, await log.committed_head(), pause_seconds=CHECK_PAUSE_SECONDS)
    except LogDamaged as damage:
        door.stop_writing(str(damage))
    except Broken:
        _logger.warning("log.not_checked", exc_info=True)


@asynccontextmanager
async def _in_background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
