"""The composition root: everything is built here, once, and handed to what needs it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import structlog

from quorate.api.nats_commands import OverNats
from quorate.application.execution import Service
from quorate.application.failed_login_limiter import FailedLoginLimiter, Network
from quorate.application.key_cache import KeyCache
from quorate.application.rate_limiter import UNBOUNDED, Limits, Rates
from quorate.application.request_metrics import Tallies
from quorate.application.subscriptions import Subscriptions
from quorate.application.tracing import Tracing, tracing_to
from quorate.bus.embedded.configuration import read_keys
from quorate.bus.service import NatsService
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.domain.shared.records import record
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.database import Database
from quorate.eventlog.database_url import backend_of
from quorate.eventlog.event_store import EventStore, LogDamaged
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections.agent_names import AgentNames
from quorate.projections.deadlines import DueAggregates
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader
from quorate.projections.state_store import SqlStateStore
from quorate.runtime.clock import MonotonicClock
from quorate.server.deadline_scheduler import DeadlineScheduler
from quorate.server.leader_election import LeaderTasks
from quorate.server.readiness import Readiness

if TYPE_CHECKING:
    from quorate.server.metric_pages import SharedPages
    from quorate.server.metrics import Metrics

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
    notification_retention_hours: float = 168.0
    rates: Rates = UNBOUNDED
    quotas: Quotas = UNLIMITED
    trusted_proxies: Sequence[Network] = ()
    workers_folder: Path | None = None  # Where workers on one port leave their numbers.
    otel_endpoint: str | None = None  # Where traces go; a standard variable may say so as well.


@record
class Running:
    """The service, and what pushes."""

    service: Service
    push: NatsService


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Running]:
    """The service from its first breath to its last: log, door, NATS, timer, in this order."""
    log, tracing = EventStore(_backend(options)), tracing_to(options.otel_endpoint)
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


def _backend(options: Options) -> Database:
    url = options.database_url or f"sqlite:///{options.data_dir / DATABASE}"
    return backend_of(url, password_file=options.database_password_file)


async def _clock(log: EventStore) -> MonotonicClock:
    """For readers, and for what need not be decided: close to the time by which it is."""
    clock = MonotonicClock(wall=await log.backend.wall_clock())
    async with log.read() as session:
        clock.not_before((await log.head(session)).at)
    return clock


def _build(
    log: EventStore, options: Options, clock: MonotonicClock, tracing: Tracing | None
) -> "_Built":
    reader, new_id = Reader(log, clock), Uuid7()
    keyring, limits = KeyCache(reader.key), Limits(options.rates)
    strangers = FailedLoginLimiter(
        keyring,
        failed_per_minute=options.rates.failed_keys_per_minute,
        trusted_proxies=options.trusted_proxies,
    )
    tails, tallies = Subscriptions(), Tallies()
    push = _push(log, options, reader, strangers, tracing)

    def heard(rows: Sequence[RecordedEvent]) -> None:
        push.wake(rows)
        tails.wake(rows)

    commits = CommitFeed(log, heard)
    door = CommandBus(
        log,
        SqlStateStore(log.backend),
        clock=clock,
        new_id=new_id,
        window_seconds=options.window_seconds,
        on_commit=commits.committed,
        on_batch=tracing.committed if tracing is not None else None,
        quotas=options.quotas,
        shares_time=True,
    )
    timer = DeadlineScheduler(door, DueAggregates(log), clock, new_id)
    leader = LeaderTasks(log.backend, {"relay": push.lead, "timer": timer.run})

    def metrics() -> "Metrics":
        from quorate.server.metrics import Metrics  # noqa: PLC0415 - see _WhenAsked.

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
        notifications=NotificationQueries(
            log, clock, retention_hours=options.notification_retention_hours
        ),
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
    log: EventStore,
    options: Options,
    reader: Reader,
    strangers: FailedLoginLimiter,
    tracing: Tracing | None,
) -> NatsService:
    return NatsService(
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
    commits: CommitFeed
    leader: LeaderTasks
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
    from quorate.server.metric_pages import SharedPages  # noqa: PLC0415 - as above.

    return SharedPages(folder, own.page)


def _always(
    built: _Built, log: EventStore, clock: MonotonicClock
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


async def _follow_time(backend: Database, clock: MonotonicClock) -> NoReturn:
    decided_there = backend.shared_time is not None
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        with contextlib.suppress(DatabaseUnavailable):
            clock.follow(await backend.wall_clock(), back=decided_there)


async def _check_tail(log: EventStore, door: CommandBus) -> None:
    """A log whose end was tampered with is served to readers, and nothing is added to it."""
    try:
        await log.check_tail()
    except LogDamaged as damage:
        door.stop_writing(str(damage))


async def _check_all(log: EventStore, door: CommandBus) -> None:
    """The same for all that came before, without hurry."""
    if door.damage:
        return  # What can be wrong was found already.
    try:
        await log.check_range(0, await log.committed_head(), pause_seconds=CHECK_PAUSE_SECONDS)
    except LogDamaged as damage:
        door.stop_writing(str(damage))
    except DatabaseUnavailable:
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
