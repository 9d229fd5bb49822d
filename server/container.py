"""Composition root: build each component once and pass it to the components that use it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn

from prometheus_client import CollectorRegistry

from quorate.api.registry import NATS_OPERATIONS
from quorate.application.execution import Service
from quorate.application.failed_login_limiter import FailedLoginLimiter
from quorate.application.key_cache import KeyCache
from quorate.application.mail.outbound import CommitSignal
from quorate.application.mail.tenant_domains import TenantDomains
from quorate.application.rate_limiter import RateLimiter
from quorate.application.read_budget import ReadBudget
from quorate.application.request_metrics import RequestMetrics
from quorate.application.subscriptions import Subscriptions
from quorate.application.tenant_access import TenantAccess
from quorate.application.tracing import Tracing, create_tracing
from quorate.bus.auth.callout import Authenticate
from quorate.bus.auth.expired_keys import FindExpiredKeys
from quorate.bus.embedded.configuration import read_keys
from quorate.bus.nats_commands import NatsCommandHandler
from quorate.bus.service import NatsService
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.records import record
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.database import Database
from quorate.eventlog.database_url import create_database, sqlite_path
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.metrics import CommandMetrics
from quorate.eventlog.moments import clock_of_readers
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.shared_clock import SharedClock
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections.agent_names import AgentNames
from quorate.projections.agent_overviews import AgentOverviews
from quorate.projections.expired_keys import ExpiredKeys
from quorate.projections.history.moments import Moments
from quorate.projections.mail.domains import MailDomainQueries
from quorate.projections.migrations.schema import ServerSchema
from quorate.projections.notifications import NotificationQueries
from quorate.projections.notified_bodies import NotifiedBodies
from quorate.projections.queries import Reader
from quorate.projections.state_store import SqlStateStore
from quorate.projections.tenant_queries import TenantQueries
from quorate.projections.totals import TotalsQuery
from quorate.runtime.asgi import ASGIApplication
from quorate.runtime.clock import MonotonicClock
from quorate.server.agent_tasks import WindowComparison
from quorate.server.commit_followers import create_commit_followers
from quorate.server.file_permissions import DATABASE
from quorate.server.leader_election import LeaderTasks
from quorate.server.leader_tasks import create_leader_tasks
from quorate.server.log_checks import LogVerification, verify_tail, watch_files
from quorate.server.mail import create_mail_service
from quorate.server.metrics import Metrics
from quorate.server.options import Options
from quorate.server.readiness import Readiness
from quorate.server.service_totals import ServiceTotals
from quorate.server.sessions import create_sessions_service

CLOCK_SECONDS = 2.0  # Clocks of two machines drift apart by less than 1 ms in this time.

__all__ = ["Options", "RunningService", "create_app", "run_service"]


@record
class RunningService:
    """The service and its NATS service."""

    service: Service
    nats_service: NatsService


@asynccontextmanager
async def run_service(options: Options) -> AsyncIterator[RunningService]:
    """Run the service: start event store, command bus, NATS and background tasks, in this order."""
    log, tracing = EventStore(_create_database(options)), create_tracing(options.otel_endpoint)
    await log.open(ServerSchema(allow_newer=options.allow_newer_schema))
    async with AsyncExitStack() as stack:
        if tracing is not None:
            stack.push_async_callback(tracing.stop)
        stack.push_async_callback(log.close)
        await log.load_id()
        clock = await _create_clock(log)
        built = _build(log, options, clock, tracing)
        service, nats_service = built.service, built.nats_service
        await service.tenant_access.load(service.tenants.restricted)
        await service.tenant_domains.load()
        await verify_tail(log, service.command_bus)
        service.command_bus.open()
        stack.push_async_callback(service.command_bus.close)
        stack.push_async_callback(built.leader.stop)  # After the final notifications are published.
        stack.push_async_callback(nats_service.stop)
        await nats_service.start()
        built.leader.start()
        for name, task in _background_tasks(built, log, options, clock).items():
            await stack.enter_async_context(_in_background(task, name))
        stack.callback(service.subscriptions.close)
        yield built


def create_app() -> ASGIApplication:
    """Build the service for any ASGI server; its lifespan runs the service.

    Options come from the environment variables of ``quorate serve``:
    ``uvicorn quorate.server.container:create_app --factory``.
    """
    # Imported here: ``quorate serve`` does not need them.
    from quorate.server.environment import read_environment  # noqa: PLC0415
    from quorate.server.lifespan import LifespanApplication  # noqa: PLC0415

    return LifespanApplication(read_environment(os.environ), run_service)


def _create_database(options: Options) -> Database:
    url = options.database_url or f"sqlite:///{options.data_dir / DATABASE}"
    return create_database(url, password_file=options.database_password_file)


async def _create_clock(log: EventStore) -> MonotonicClock:
    """Return the clock of readers, close to the time by which commands are decided."""
    wall, _lead = await log.database.wall_clock()
    clock = MonotonicClock(wall)
    async with log.read() as transaction:
        clock.advance_to((await log.head(transaction)).at)
    return clock


def _build(
    log: EventStore, options: Options, clock: MonotonicClock, tracing: Tracing | None
) -> "_Built":
    read_clock, new_id = clock_of_readers(clock), Uuid7()
    reader, hours = Reader(log, read_clock), options.notification_retention_hours
    key_cache, tenants = KeyCache(reader.key, clock), TenantQueries(log, read_clock)
    tenant_access = TenantAccess(RateLimiter(options.rates))
    tenant_domains = TenantDomains(options.mail_domain, MailDomainQueries(log))
    failed_login_limiter = _create_failed_login_limiter(key_cache, options)
    subscriptions, registry, signal = Subscriptions(), CollectorRegistry(), CommitSignal()
    request_metrics = RequestMetrics(registry)
    nats_service = _create_nats_service(
        *(log, options, reader, _authenticate_nats(failed_login_limiter, tenant_access)),
        find_expired_keys=ExpiredKeys(log, clock).find_next,
        tracing=tracing,
        registry=registry,
    )
    listeners = [tenant_access.record, tenant_domains.record, nats_service.wake]
    listeners += [subscriptions.wake, signal.wake]
    commits = CommitFeed(log, lambda rows: _notify(listeners, rows), subscriptions.read_again)
    command_bus = _create_command_bus(
        *(log, options, clock, new_id), commits=commits, tracing=tracing, registry=registry
    )
    followers = create_commit_followers(log, command_bus, clock, new_id)
    listeners.append(followers.wake)
    leader = create_leader_tasks(
        *(log, options, clock, new_id, command_bus, nats_service, signal, followers, registry)
    )

    metrics = Metrics(
        registry=registry,
        request_metrics=request_metrics,
        command_bus=command_bus,
        commits=commits,
        nats_service=nats_service,
        subscriptions=subscriptions,
        leader=leader,
        held=ServiceTotals(TotalsQuery(log), options.data_dir, _disk(options)),
        verification=LogVerification(log, command_bus),
        followers=followers,
        clock=clock,
        workers_dir=options.workers_dir,
    )
    service = Service(
        log=log,
        command_bus=command_bus,
        reader=reader,
        notifications=NotificationQueries(log, read_clock, retention_hours=hours),
        mail=create_mail_service(log, options, tenant_domains, read_clock),
        sessions=create_sessions_service(log, options, read_clock),
        key_cache=key_cache,
        failed_login_limiter=failed_login_limiter,
        tenant_access=tenant_access,
        tenant_domains=tenant_domains,
        read_budget=ReadBudget(options.rates),
        tenants=tenants,
        quotas=options.quotas,
        subscriptions=subscriptions,
        clock=clock,
        moments=Moments(log, clock),
        new_id=new_id,
        readiness=Readiness(log, command_bus, nats_service, commits, clock),
        metrics=metrics,
        request_metrics=request_metrics,
        tracing=tracing,
    )
    _serve_nats_commands(service, nats_service)
    return _Built(
        service=service, nats_service=nats_service, commits=commits, leader=leader, metrics=metrics
    )


def _disk(options: Options) -> Path:
    """Return a directory on the disk that the database fills; else the data directory."""
    path = None if options.database_url is None else sqlite_path(options.database_url)
    return options.data_dir if path is None else path.parent


def _notify(
    listeners: Sequence[Callable[[Sequence[RecordedEvent]], None]], rows: Sequence[RecordedEvent]
) -> None:
    for listener in listeners:
        listener(rows)


def _serve_nats_commands(service: Service, nats_service: NatsService) -> None:
    nats_service.serve_commands(
        NatsCommandHandler(
            service,
            AgentNames(service.log),
            NATS_OPERATIONS,
            limit=service.tenant_access.check,
            request_metrics=service.request_metrics,
            tracing=service.tracing,
        )
    )


def _create_failed_login_limiter(key_cache: KeyCache, options: Options) -> FailedLoginLimiter:
    return FailedLoginLimiter(
        key_cache,
        failed_per_minute=options.rates.failed_keys_per_minute,
        trusted_proxies=options.trusted_proxies,
    )


def _authenticate_nats(limiter: FailedLoginLimiter, tenant_access: TenantAccess) -> Authenticate:
    async def authenticate(full_key: str, host: str) -> Principal | None:
        principal = await limiter.authenticate_nats(full_key, host)
        if principal is not None:
            tenant_access.require_active(principal.tenant)
        return principal

    return authenticate


def _create_command_bus(
    log: EventStore,
    options: Options,
    clock: MonotonicClock,
    new_id: Uuid7,
    *,
    commits: CommitFeed,
    tracing: Tracing | None,
    registry: CollectorRegistry,
) -> CommandBus:
    return CommandBus(
        log,
        SqlStateStore(log.database),
        clock=clock,
        new_id=new_id,
        window_seconds=options.window_seconds,
        on_commit=commits.record_commit,
        on_batch=tracing.record_commit if tracing is not None else None,
        quotas=options.quotas,
        shared_clock=SharedClock(clock),
        age_clock=clock.cautious,
        metrics=CommandMetrics(registry),
    )


def _create_nats_service(
    log: EventStore,
    options: Options,
    reader: Reader,
    authenticate: Authenticate,
    *,
    find_expired_keys: FindExpiredKeys,
    tracing: Tracing | None,
    registry: CollectorRegistry,
) -> NatsService:
    return NatsService(
        data_dir=options.data_dir,
        authenticate=authenticate,
        committed=log,
        nats_port=options.nats_port,
        nats_host=options.nats_host,
        nats_url=options.nats_url,
        holds_logins=options.holds_nats_logins,
        find_active_keys=reader.valid_keys,
        find_expired_keys=find_expired_keys,
        find_agent_keys=reader.agent_keys,
        rates=options.rates,
        relays=False,
        keys=read_keys(options.nats_keys_file) if options.nats_keys_file else None,
        stream_replicas=options.nats_stream_replicas,
        on_published=tracing.record_notifications if tracing is not None else None,
        add_bodies=NotifiedBodies(log).add,
        registry=registry,
    )


@record
class _Built(RunningService):
    commits: CommitFeed
    leader: LeaderTasks
    metrics: Metrics


def _background_tasks(
    built: _Built, log: EventStore, options: Options, clock: MonotonicClock
) -> dict[str, Coroutine[None, None, None]]:
    """Return the background tasks by name."""
    service = built.service
    windows = WindowComparison(AgentOverviews(log), window_seconds=options.window_seconds)
    tasks: dict[str, Coroutine[None, None, None]] = {
        "commits": built.commits.run(),
        "clock": _follow_time(log.database, clock, service.command_bus),
        "totals": built.metrics.held.run(),
        "log check": built.metrics.verification.run(),
        "log files": watch_files(log.database, service.command_bus),
        "tenants": service.tenant_access.keep_fresh(service.tenants.restricted),
        "mail domains": service.tenant_domains.keep_fresh(),
        "heartbeat windows": windows.run(),
        "keys in use": service.key_cache.keep_fresh(service.reader.valid_keys),
        "revoked keys": service.subscriptions.end_revoked(service.reader.valid_keys),
    }
    if built.metrics.is_shared:
        tasks["metrics"] = built.metrics.run()
    return tasks


async def _follow_time(
    database: Database, clock: MonotonicClock, command_bus: CommandBus
) -> NoReturn:
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        if database.shared_time is None:
            clock()  # Notices also in an idle service how long a jump has lasted.
            continue
        with contextlib.suppress(DatabaseUnavailable):
            wall, lead = await database.wall_clock()
            if not clock.follow(wall, shared_lead=lead):
                command_bus.agree_on_time()


@asynccontextmanager
async def _in_background(coroutine: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(coroutine, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
