"""The composition root: everything is built here, once, and handed to what needs it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import structlog

from quorate.api.keyring import KeyRing
from quorate.api.leader import Leader
from quorate.api.limits import UNBOUNDED, Limits, Rates
from quorate.api.over_nats import OverNats
from quorate.api.readiness import Readiness
from quorate.api.service import Service
from quorate.api.strangers import Network, Strangers
from quorate.api.tails import Tails
from quorate.api.tallies import Tallies
from quorate.api.timer import Timer
from quorate.api.tracing import Tracing, tracing_to
from quorate.bus.push import Push
from quorate.bus.server_configuration import read_keys
from quorate.domain.quotas import UNLIMITED, Quotas
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
from quorate.projections.agent_names import AgentNames
from quorate.projections.board import Board
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.noticed import NoticesReader
from quorate.projections.overdue import OverdueWork
from quorate.projections.reader import Reader

if TYPE_CHECKING:
    from quorate.api.metrics import Metrics
    from quorate.api.shared_pages import SharedPages

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
    nats_host: str = "127.0.0.1"
    nats_url: str | None = None  # Or several, separated by commas.
    nats_keys_file: Path | None = None  # When they are not in the data folder.
    nats_stream_replicas: int = 1
    admin_key_file: Path | None = None  # Keys that were made elsewhere; with either of them no
    api_key_file: Path | None = None  # credentials are made here.
    window_seconds: float = 300.0
    notice_retention_hours: float = 168.0
    rates: Rates = UNBOUNDED
    quotas: Quotas = UNLIMITED
    trusted_proxies: Sequence[Network] = ()
    workers_folder: Path | None = None  # Where workers on one port leave their numbers.
    otel_endpoint: str | None = None  # Where traces go; a standard variable may say so as well.


@record
class Running:
    """The service, and what pushes."""

    service: Service
    push: Push


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Running]:
    """The service from its first breath to its last: log, door, NATS, timer, in this order."""
    log, tracing = EventLog(_backend(options)), tracing_to(options.otel_endpoint)
    await log.open(SCHEMA)
    async with AsyncExitStack() as stack:
        if tracing is not None:
            stack.push_async_callback(tracing.stop)
        stack.push_async_callback(log.close)
        clock = await _clock(log)
        built = _build(log, options, clock, tracing)
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
    """For readers, and for what need not be decided: close to the time by which it is."""
    clock = FlowingClock(wall=await log.backend.wall_clock())
    async with log.read() as session:
        clock.not_before((await log.head(session)).at)
    return clock


def _build(
    log: EventLog, options: Options, clock: FlowingClock, tracing: Tracing | None
) -> "_Built":
    reader, new_id = Reader(log, clock), Uuid7()
    keyring, limits = KeyRing(reader.key), Limits(options.rates)
    strangers = Strangers(
        keyring,
        failed_per_minute=options.rates.failed_keys_per_minute,
        trusted_proxies=options.trusted_proxies,
    )
    tails, tallies = Tails(), Tallies()
    push = _push(log, options, reader, strangers, tracing)

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
        on_batch=tracing.committed if tracing is not None else None,
        quotas=options.quotas,
        shares_time=True,
    )
    timer = Timer(door, OverdueWork(log), clock, new_id)
    leader = Leader(log.backend, {"relay": push.lead, "timer": timer.run})

    def metrics() -> "Metrics":
        from quorate.api.metrics import Metrics  # noqa: PLC0415 - see _WhenAsked.

        return Metrics(
            tallies=tallies, door=door, commits=commits, push=push, tails=tails, leader=leader
        )

    own = _WhenAsked(metrics)
    folder = options.workers_folder
    shared = _shared(folder, own) if folder is not None else None
    service = Service(
        log=log,
        door=door,
        reader=reader,
        notices=NoticesReader(log, clock, retention_hours=options.notice_retention_hours),
        keyring=keyring,
        strangers=strangers,
        limits=limits,
        tails=tails,
        clock=clock,
        new_id=new_id,
        readiness=Readiness(log, door, push, commits),
        metrics=shared or own,
        tallies=tallies,
        tracing=tracing,
    )
    names = AgentNames(log)
    push.serve(OverNats(service, names, limit=limits.check, tallies=tallies, tracing=tracing))
    return _Built(service=service, push=push, commits=commits, leader=leader, shared=shared)


def _push(
    log: EventLog, options: Options, reader: Reader, strangers: Strangers, tracing: Tracing | None
) -> Push:
    return Push(
        data_dir=options.data_dir,
        authenticate=strangers.over_nats,
        committed=log,
        nats_port=options.nats_port,
        nats_host=options.nats_host,
        nats_url=options.nats_url,
        standing=reader.standing,
        relays=False,
        keys=read_keys(options.nats_keys_file) if options.nats_keys_file else None,
        stream_replicas=options.nats_stream_replicas,
        said=tracing.said if tracing is not None else None,
    )


@record
class _Built(Running):
    commits: Commits
    leader: Leader
    shared: "SharedPages | None"


class _WhenAsked:
    """Numbers for Prometheus. Its library brings an HTTP server along, and so takes 15 ms to load:
    no start waits for it.
    """

    def __init__(self, make: "Callable[[], Metrics]") -> None:
        self._make = make

    @cached_property
    def page(self) -> Callable[[], bytes]:
        return self._make().page


def _shared(folder: Path, own: _WhenAsked) -> "SharedPages":
    from quorate.api.shared_pages import SharedPages  # noqa: PLC0415 - as above.

    return SharedPages(folder, own.page)


def _always(
    built: _Built, log: EventLog, clock: FlowingClock
) -> dict[str, Coroutine[None, None, None]]:
    """What goes on beside the requests, by the names of the tasks."""
    service = built.service
    always: dict[str, Coroutine[None, None, None]] = {
        "commits": built.commits.run(),
        "clock": _follow_time(log.backend, clock),
        "log check": _check_all(log, service.door),
        "keys in use": service.keyring.keep_fresh(service.reader.standing),
        "revoked keys": service.tails.end_revoked(service.reader.standing),
    }
    if built.shared is not None:
        always["metrics"] = built.shared.run()
    return always


async def _follow_time(backend: Backend, clock: FlowingClock) -> NoReturn:
    decided_there = backend.shared_time is not None
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        with contextlib.suppress(Broken):
            clock.follow(await backend.wall_clock(), back=decided_there)


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
