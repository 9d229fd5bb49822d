"""Composition root: build each component once and pass it to the components that use it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NoReturn, TypeAlias

from prometheus_client import CollectorRegistry

from quorate.api.registry import NATS_OPERATIONS
from quorate.application.execution import Service
from quorate.application.failed_login_limiter import FailedLoginLimiter
from quorate.application.key_cache import KeyCache
from quorate.application.mail.tenant_domains import TenantDomains
from quorate.application.rate_limiter import RateLimiter
from quorate.application.read_budget import ReadBudget
from quorate.application.request_metrics import RequestMetrics
from quorate.application.subscriptions import Subscriptions
from quorate.application.tenant_access import TenantAccess
from quorate.application.tracing import Tracing, create_tracing
from quorate.bus.auth.callout import Authenticate
from quorate.bus.embedded.configuration import read_keys
from quorate.bus.nats_commands import NatsCommandHandler
from quorate.bus.service import NatsService
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.records import record
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.database import Database
from quorate.eventlog.database_url import create_database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.moments import clock_of_readers
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.remote.command_bus import RemoteCommandBus
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
from quorate.projections.tenant_queries import TenantQueries
from quorate.projections.totals import TotalsQuery
from quorate.runtime.asgi import ASGIApplication
from quorate.runtime.clock import MonotonicClock
from quorate.server.agent_tasks import WindowComparison
from quorate.server.command_flow import CommandFlow, create_command_flow, open_log
from quorate.server.leader_tasks import Duties, create_duties
from quorate.server.log_checks import watch_files
from quorate.server.mail import create_mail_service
from quorate.server.metrics import Metrics
from quorate.server.options import DATABASE, Options
from quorate.server.readiness import Readiness
from quorate.server.service_totals import ServiceTotals
from quorate.server.sessions import create_sessions_service

Listener: TypeAlias = Callable[[Sequence[RecordedEvent]], None]
CLOCK_SECONDS = 2.0  # Clocks of two machines drift apart by less than 1 ms in this time.

__all__ = ["Options", "RunningService", "create_app", "run_service"]


@record
class RunningService:
    """The service and its NATS service."""

    service: Service
    nats_service: NatsService


@asynccontextmanager
async def run_service(
    options: Options, on_standby: Callable[[], None] = lambda: None
) -> AsyncIterator[RunningService]:
    """Run the service: start event store, command bus, NATS and background tasks, in this order.

    ``on_standby`` is called when this process is ready to write, but another one still writes.
    """
    log, tracing = EventStore(_create_database(options)), create_tracing(options.otel_endpoint)
    async with AsyncExitStack() as stack:
        if tracing is not None:
            stack.push_async_callback(tracing.stop)
        remote = None if options.role.writes else await _connect_to_writer(options, stack)
        schema = ServerSchema(allow_newer=options.allow_newer_schema)
        await open_log(log, schema, options, on_standby)
        stack.push_async_callback(log.close)
        await log.load_id()
        clock = await _create_clock(log)
        built = _build(log, options, clock, tracing, remote)
        service, nats_service = built.service, built.nats_service
        await service.tenant_access.load(service.tenants.restricted)
        await service.tenant_domains.load()
        await built.flow.open(log, stack)
        if built.duties.leader is not None:
            stack.push_async_callback(built.duties.leader.stop)  # After the final notifications.
        if options.role.uses_nats:
            stack.push_async_callback(nats_service.stop)
            await nats_service.start()
        if built.duties.leader is not None:
            built.duties.leader.start()
        for name, task in _background_tasks(built, log, options, clock).items():
            await stack.enter_async_context(_in_background(task, name))
        stack.callback(service.subscriptions.close)
        yield built


async def _connect_to_writer(options: Options, stack: AsyncExitStack) -> RemoteCommandBus:
    """Return when a process writes the log: its tables are up to date then."""
    remote = RemoteCommandBus(options.command_socket)
    stack.push_async_callback(remote.close)
    await stack.enter_async_context(_in_background(remote.run(), "writer"))
    await remote.connected.wait()
    return remote


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
    return create_database(
        url, password_file=options.database_password_file, reads_only=not options.role.writes
    )


async def _create_clock(log: EventStore) -> MonotonicClock:
    """Return the clock of readers, close to the time by which commands are decided."""
    wall, _lead = await log.database.wall_clock()
    clock = MonotonicClock(wall)
    async with log.read() as transaction:
        clock.advance_to((await log.head(transaction)).at)
    return clock


def _build(
    log: EventStore,
    options: Options,
    clock: MonotonicClock,
    tracing: Tracing | None,
    remote: RemoteCommandBus | None,
) -> "_Built":
    read_clock, new_id, role = clock_of_readers(clock), Uuid7(), options.role
    reader, hours = Reader(log, read_clock), options.notification_retention_hours
    key_cache, tenants = KeyCache(reader.key, clock), TenantQueries(log, read_clock)
    tenant_access = TenantAccess(RateLimiter(options.rates))
    tenant_domains = TenantDomains(options.mail_domain, MailDomainQueries(log))
    failed_login_limiter = _create_failed_login_limiter(key_cache, options)
    subscriptions, registry = Subscriptions(), CollectorRegistry()
    nats_service = _create_nats_service(
        *(log, options, reader, clock, tracing, registry),
        authenticate=_authenticate_nats(failed_login_limiter, tenant_access),
    )
    listeners: list[Listener] = [key_cache.record, tenant_access.record, tenant_domains.record]
    listeners.append(subscriptions.wake)
    commits = CommitFeed(log, lambda rows: _notify(listeners, rows), subscriptions.read_again)
    flow = create_command_flow(
        *(log, options, clock, new_id, remote), commits=commits, tracing=tracing, registry=registry
    )
    duties = create_duties(log, options, clock, new_id, flow, nats_service, registry)
    listeners += duties.listeners
    request_metrics = RequestMetrics(registry)
    metrics = _create_metrics(
        *(log, options, clock, flow, commits, nats_service, subscriptions, duties),
        *(request_metrics, registry),
    )
    service = Service(
        log=log,
        command_bus=flow.commands,
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
        readiness=Readiness(log, flow.commands, nats_service, commits, clock),
        metrics=metrics,
        request_metrics=request_metrics,
        tracing=tracing,
    )
    if role.serves_agents:
        listeners.append(nats_service.wake)
        _serve_nats_commands(service, nats_service)
    return _Built(
        service=service,
        nats_service=nats_service,
        commits=commits,
        flow=flow,
        duties=duties,
        metrics=metrics,
    )


def _create_metrics(  # noqa: PLR0917 - the parts that are watched.
    log: EventStore,
    options: Options,
    clock: MonotonicClock,
    flow: CommandFlow,
    commits: CommitFeed,
    nats_service: NatsService,
    subscriptions: Subscriptions,
    duties: Duties,
    request_metrics: RequestMetrics,
    registry: CollectorRegistry,
) -> Metrics:
    role = options.role
    return Metrics(
        registry=registry,
        request_metrics=request_metrics,
        command_bus=flow.commands,
        commits=commits,
        nats_service=nats_service if role.uses_nats else None,
        subscriptions=subscriptions,
        leader=duties.leader if role.writes else None,
        held=ServiceTotals(TotalsQuery(log), options.data_dir, _disk(options)),
        verification=duties.verification,
        followers=duties.followers,
        clock=clock,
        workers_dir=options.workers_dir,
    )


def _disk(options: Options) -> Path:
    """Return a directory on the disk that the database fills; else the data directory."""
    path = options.database_file
    return options.data_dir if path is None else path.parent


def _notify(listeners: Sequence[Listener], rows: Sequence[RecordedEvent]) -> None:
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


def _create_nats_service(  # noqa: PLR0917 - the parts that it uses.
    log: EventStore,
    options: Options,
    reader: Reader,
    clock: MonotonicClock,
    tracing: Tracing | None,
    registry: CollectorRegistry,
    *,
    authenticate: Authenticate,
) -> NatsService:
    return NatsService(
        data_dir=options.data_dir,
        authenticate=authenticate,
        committed=log,
        nats_port=options.nats_port,
        nats_host=options.nats_host,
        nats_url=options.nats_url,
        holds_logins=options.holds_nats_logins,
        serves_agents=options.role.serves_agents,
        find_active_keys=reader.valid_keys,
        find_expired_keys=ExpiredKeys(log, clock).find_next,
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
    flow: CommandFlow
    duties: Duties
    metrics: Metrics


def _background_tasks(
    built: _Built, log: EventStore, options: Options, clock: MonotonicClock
) -> dict[str, Coroutine[None, None, None]]:
    """Return the background tasks by name."""
    service, role, command_bus = built.service, options.role, built.flow.command_bus
    tasks: dict[str, Coroutine[None, None, None]] = {
        "commits": built.commits.run(),
        "clock": _follow_time(log.database, clock, command_bus),
        "tenants": service.tenant_access.keep_fresh(service.tenants.restricted),
        "mail domains": service.tenant_domains.keep_fresh(),
        "keys in use": service.key_cache.keep_fresh(service.reader.valid_keys),
        **built.flow.tasks,
    }
    if role.serves_http:
        tasks["totals"] = built.metrics.held.run()
        tasks["revoked keys"] = service.subscriptions.end_revoked(service.reader.valid_keys)
    if command_bus is not None:
        windows = WindowComparison(AgentOverviews(log), window_seconds=options.window_seconds)
        tasks["log files"] = watch_files(log.database, command_bus)
        tasks["heartbeat windows"] = windows.run()
    if built.metrics.verification is not None:
        tasks["log check"] = built.metrics.verification.run()
    if built.metrics.is_shared:
        tasks["metrics"] = built.metrics.run()
    return tasks


async def _follow_time(
    database: Database, clock: MonotonicClock, command_bus: CommandBus | None
) -> NoReturn:
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        if database.shared_time is None:
            clock()  # Notices also in an idle service how long a jump has lasted.
            continue
        with contextlib.suppress(DatabaseUnavailable):
            wall, lead = await database.wall_clock()
            if not clock.follow(wall, shared_lead=lead) and command_bus is not None:
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
