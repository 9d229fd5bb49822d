"""The composition root: everything is built here, once, and handed to what needs it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn

import structlog

from quorate.api.keyring import KeyRing
from quorate.api.leader import Leader
from quorate.api.over_nats import OverNats
from quorate.api.service import Service
from quorate.api.tails import Tails
from quorate.api.timer import Timer
from quorate.bus.push import Push
from quorate.bus.server_configuration import read_keys
from quorate.domain.record import record
from quorate.eventlog.backend import Backend
from quorate.eventlog.clock import FlowingClock
from quorate.eventlog.commits import Commits
from quorate.eventlog.databases import backend_of
from quorate.eventlog.door import Door
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.log import EventLog, LogDamaged
from quorate.eventlog.recorded import Recorded
from quorate.eventlog.session import Broken
from quorate.projections import tables
from quorate.projections.agent_names import AgentNames
from quorate.projections.board import Board
from quorate.projections.noticed import NoticesReader
from quorate.projections.overdue import OverdueWork
from quorate.projections.reader import Reader

DATABASE = "quorate.db"
CHECK_PAUSE_SECONDS = 0.05  # After each page of the check in the background.
CLOCK_SECONDS = 10.0  # Machines' clocks drift apart by less than a millisecond in this time.
_logger = structlog.get_logger(__name__)


@record
class Options:
    """What an operator may choose. Port 0 means any free one."""

    data_dir: Path
    database_url: str | None = None  # When it is not in the data folder.
    database_password_file: Path | None = None
    nats_port: int = 4222
    nats_url: str | None = None  # Or several, separated by commas.
    nats_keys_file: Path | None = None  # When they are not in the data folder.
    nats_stream_replicas: int = 1
    admin_key_file: Path | None = None  # Keys that were made elsewhere; with either of them no
    api_key_file: Path | None = None  # credentials are made here.
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
    log = EventLog(_backend(options))
    await log.open(tables.metadata)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(log.close)
        clock = await _clock(log)
        built = _build(log, options, clock)
        service, push = built.service, built.push
        await _check_tail(log, service.door)
        service.door.open()
        stack.push_async_callback(service.door.close)
        stack.push_async_callback(built.leader.stop)  # When what can be said has been said.
        stack.push_async_callback(push.stop)
        await push.start()
        built.leader.start()
        for name, work in _always(built, log, clock).items():
            await stack.enter_async_context(_in_background(work, name))
        stack.callback(service.tails.close)
        yield built


def _backend(options: Options) -> Backend:
    url = options.database_url or f"sqlite:///{options.data_dir / DATABASE}"
    return backend_of(url, password_file=options.database_password_file)


async def _clock(log: EventLog) -> FlowingClock:
    """One for all: what the log says has happened is never in the future of any of them."""
    clock = FlowingClock(wall=await log.backend.wall_clock())
    async with log.read() as session:
        clock.not_before((await log.head(session)).at)
    return clock


def _build(log: EventLog, options: Options, clock: FlowingClock) -> "_Built":
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
        relays=False,
        keys=read_keys(options.nats_keys_file) if options.nats_keys_file else None,
        stream_replicas=options.nats_stream_replicas,
    )

    def heard(rows: Sequence[Recorded]) -> None:
        push.wake(rows)
        tails.wake(rows)

    commits = Commits(log, heard)
    door = Door(
        log,
        Board(log.backend),
        clock=clock,
        new_id=new_id,
        window_seconds=options.window_seconds,
        on_commit=commits.committed,
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
    timer = Timer(door, OverdueWork(log), clock, new_id)
    leader = Leader(log.backend, {"relay": push.lead, "timer": timer.run})
    return _Built(service=service, push=push, commits=commits, leader=leader)


@record
class _Built(Running):
    commits: Commits
    leader: Leader


def _always(
    built: _Built, log: EventLog, clock: FlowingClock
) -> dict[str, Coroutine[None, None, None]]:
    """What goes on beside the requests, by the names of the tasks."""
    service = built.service
    return {
        "commits": built.commits.run(),
        "clock": _follow_time(log.backend, clock),
        "log check": _check_all(log, service.door),
        "revoked keys": service.tails.end_revoked(service.reader.standing),
    }


async def _follow_time(backend: Backend, clock: FlowingClock) -> NoReturn:
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        with contextlib.suppress(Broken):
            clock.follow(await backend.wall_clock())


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
