"""Prometheus metrics of this process; none of them reveals anything about a client.

* No tenant, agent or key is a label, and every label has a fixed, small set of values: every client
  that can reach the port may read the page.
* Counters and histograms are counted where things happen. Gauges are set before a page is built,
  and in a worker every REFRESH_SECONDS, because another worker may be asked for the page.
* The same page is served again for PAGE_SECONDS.
* A new gauge needs a mode for several workers. A limit is compared with the fullest worker, so
  ``livemax`` is right for both.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NoReturn, Protocol, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

import quorate
from quorate.application.execution import Connections
from quorate.application.request_metrics import RequestMetrics, status_of
from quorate.application.subscriptions import SUBSCRIPTIONS_MAX, Subscriptions
from quorate.bus.outbox import jetstream_mirror
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND
from quorate.eventlog.command_queue import QUEUE_COMMANDS_MAX
from quorate.eventlog.commands import Commands
from quorate.eventlog.commit_feed import CommitFeed
from quorate.projections.totals import Totals
from quorate.runtime.clock import MonotonicClock
from quorate.server.commit_followers import CommitFollowers
from quorate.server.connection_rejections import REJECTED
from quorate.server.leader_election import LeaderTasks
from quorate.server.log_checks import LogVerification
from quorate.server.worker_metrics import ProcessMetrics, open_directory

PAGE_SECONDS = 0.5
REFRESH_SECONDS = 2.0
UNREAD = "unread"  # The operation of a request that was rejected before it was parsed.
MIRROR_STATES = (
    jetstream_mirror.WAITING,
    jetstream_mirror.FOLLOWING,
    jetstream_mirror.STOPPED,
    jetstream_mirror.UNAVAILABLE,
)
# Other processes than the leader have no value. A gauge of several workers cannot be removed, so
# it has this value, which is less than any other, and the page leaves it out.
NOT_LEADER = -1.0
LEADER_METRICS = {"quorate_relay_lag_events", "quorate_mirror_state", "quorate_history_lag_events"}
# How the values of several workers become one. ``live``: without workers that have ended.
Mode: TypeAlias = Literal["livemin", "livemax", "livesum"]


class NatsStatus(Protocol):
    """The state of the NATS service."""

    @property
    def connected_keys(self) -> int: ...

    def is_connected(self) -> bool: ...

    def mirror(self) -> str | None: ...

    def relay_lag(self, head: int) -> int | None: ...


class HeldTotals(Protocol):
    """What the service holds; see ``service_totals``."""

    @property
    def totals(self) -> Totals: ...

    @property
    def disk_free_bytes(self) -> int: ...

    @property
    def last_backup_seconds(self) -> float: ...

    async def run(self) -> NoReturn: ...


class Metrics:
    """The gauges of a process, and the page with all metrics of its registry.

    What is None is done by another process.

    With ``workers_dir``, the page contains the metrics of all workers that use the directory.
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        request_metrics: RequestMetrics,
        command_bus: Commands,
        commits: CommitFeed,
        nats_service: NatsStatus | None,
        subscriptions: Subscriptions,
        leader: LeaderTasks | None,
        held: HeldTotals,
        verification: LogVerification | None,
        followers: CommitFollowers | None,
        clock: MonotonicClock,
        workers_dir: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._request_metrics = request_metrics
        self._command_bus = command_bus
        self._commits = commits
        self._subscriptions = subscriptions
        self.held = held
        self.verification = verification
        self._clock = clock
        self._monotonic = monotonic
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []
        self._rejected: Counter[str] = Counter()  # What is counted of REJECTED.
        self._connections: Connections | None = None
        self._create_request_gauges()
        self._create_log_gauges(leader)
        if nats_service is not None:
            self._create_nats_gauges(nats_service)
        if followers is not None:
            self._create_history_gauge(followers)
        if verification is not None:
            self._create_verification_gauges(verification)
        self._create_totals_gauges()
        self._process_metrics: ProcessMetrics | None = None
        source: Collector = registry
        if workers_dir is None:
            ProcessCollector(registry=registry)
            GCCollector(registry=registry)
        else:
            self._process_metrics = ProcessMetrics()
            source = open_directory(workers_dir)
        self._page_source = _WithoutFollowers(source)
        self._page = b""
        self._page_valid_until = 0.0

    def watch_connections(self, connections: Connections) -> None:
        """Report these connections from now on; before, and under another server, there are 0."""
        self._connections = connections

    def page(self) -> bytes:
        """Return the page in the text format of Prometheus."""
        now = self._monotonic()
        if now >= self._page_valid_until:
            self.refresh()
            self._page = generate_latest(self._page_source)
            self._page_valid_until = now + PAGE_SECONDS
        return self._page

    @property
    def is_shared(self) -> bool:
        """Whether other workers show the metrics of this process too."""
        return self._process_metrics is not None

    async def run(self) -> NoReturn:
        """Keep the gauges of a worker up to date for the other workers, until cancelled."""
        while True:
            self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    def refresh(self) -> None:
        """Set the gauges, and count what is counted elsewhere."""
        for gauge, read in self._gauges:
            gauge.set(read())
        for code, count in REJECTED.items():
            labels = ("http", UNREAD, code, status_of(code))
            more = max(0, count - self._rejected[code])
            self._request_metrics.requests.labels(*labels).inc(more)
            self._rejected[code] = count
        if self._process_metrics is not None:
            self._process_metrics.refresh()

    def _create_request_gauges(self) -> None:
        self._gauge("quorate_info", "The version of Quorate.", ("version",)).labels(
            quorate.__version__
        ).set(1)
        self._add(
            "quorate_http_connections",
            "Open HTTP connections.",
            lambda: 0 if self._connections is None else self._connections.open_count,
            "livesum",
        )
        self._add(
            "quorate_http_unread_bytes",
            "Bytes of HTTP responses that clients have not read.",
            lambda: 0 if self._connections is None else self._connections.unread_bytes,
            "livesum",
        )
        self._add(
            "quorate_open_streams",
            "Open event streams and long polls.",
            lambda: self._subscriptions.open_count,
        )
        self._add(
            "quorate_open_streams_max",
            "Maximum number of open event streams and long polls.",
            lambda: SUBSCRIPTIONS_MAX,
        )
        self._add(
            "quorate_command_queue_length",
            "Commands in the queue of the command bus.",
            lambda: self._command_bus.waiting,
        )
        self._add(
            "quorate_command_queue_length_max",
            "Maximum length of the command queue.",
            lambda: QUEUE_COMMANDS_MAX,
        )

    def _create_log_gauges(self, leader: LeaderTasks | None) -> None:
        self._add(
            "quorate_log_head",
            "The last log position known to this process.",
            lambda: self._commits.head,
        )
        self._add(
            "quorate_log_corrupted",
            "1 if the log is corrupted and the service is read-only.",
            lambda: bool(self._command_bus.damage),
        )
        self._add(
            "quorate_commit_notification_age_seconds",
            "Time since this process last checked for commits of other processes, in seconds.",
            lambda: self._commits.notification_age_seconds,
        )
        self._add(
            "quorate_clock_ahead_seconds",
            "Lead of the time of the log over the clock, in seconds; not 0 after it was set.",
            lambda: self._clock.seconds_ahead,
        )
        if leader is not None:
            self._add(
                "quorate_leader",
                "1 if this process is the leader (outbox relay and deadline scheduler).",
                lambda: leader.is_leader,
                "livesum",
            )

    def _create_verification_gauges(self, verification: LogVerification) -> None:
        self._add(
            "quorate_log_verified_events",
            "Events of all tenants that this process has verified since its start.",
            lambda: verification.events,
        )
        self._add(
            "quorate_log_verified_timestamp_seconds",
            "Unix time when the verification after the start ended; 0 before, and if it failed.",
            lambda: verification.ended_at_seconds,
        )

    def _create_history_gauge(self, followers: CommitFollowers) -> None:
        def lag() -> float:
            found = followers.history_lag(self._commits.head)
            return NOT_LEADER if found is None else found

        self._add(
            "quorate_history_lag_events",
            "Events that the history of past states does not contain yet (leader only).",
            lag,
        )

    def _create_nats_gauges(self, nats_service: NatsStatus) -> None:
        self._add(
            "quorate_nats_connected",
            "1 if the service is connected to NATS.",
            nats_service.is_connected,
            "livemin",
        )
        self._add(
            "quorate_connected_agents",
            "API keys connected to NATS.",
            lambda: nats_service.connected_keys,
        )
        self._add(
            "quorate_relay_lag_events",
            "Events not yet published to NATS and mirrored to JetStream (leader only).",
            partial(self._relay_lag, nats_service),
        )
        states = self._gauge(
            "quorate_mirror_state",
            "1 for the current state of the JetStream mirror (leader only).",
            ("state",),
        )
        self._gauges += [
            (states.labels(one), partial(_is_mirror, nats_service, one)) for one in MIRROR_STATES
        ]

    def _create_totals_gauges(self) -> None:
        held = self.held
        self._add("quorate_tenants", "Tenants.", lambda: held.totals.tenants)
        self._add(
            "quorate_active_agents",
            "Agents whose heartbeat has not timed out.",
            lambda: held.totals.active_agents,
        )
        self._add("quorate_live_leases", "Live leases.", lambda: held.totals.live_leases)
        self._add(
            "quorate_open_proposals", "Pending proposals.", lambda: held.totals.open_proposals
        )
        self._create_mail_gauges()
        self._add(
            "quorate_database_bytes",
            "Size of the database, in bytes.",
            lambda: held.totals.database_bytes,
        )
        self._add(
            "quorate_disk_free_bytes",
            "Free space on the disk of the database (with PostgreSQL: of the data directory).",
            lambda: held.disk_free_bytes,
            "livemin",
        )
        self._add(
            "quorate_last_backup_timestamp_seconds",
            "Unix time of the last backup with this data directory; 0 if there is none.",
            lambda: held.last_backup_seconds,
        )

    def _create_mail_gauges(self) -> None:
        held = self.held
        self._add(
            "quorate_mail_waiting",
            "Deliveries to people that wait for an attempt, queued or deferred.",
            lambda: held.totals.mail_waiting,
        )
        self._add(
            "quorate_mail_held",
            "Deliveries to people that are held because there is no SMTP relay.",
            lambda: held.totals.mail_held,
        )
        self._add(
            "quorate_mail_dead_letters",
            "Deliveries to people that were given up, until they are retried or dropped.",
            lambda: held.totals.mail_dead_letters,
        )
        self._add(
            "quorate_mail_overdue_seconds",
            "Time since the attempt that has been due for longest, in seconds; 0 if none is.",
            self._mail_overdue,
        )

    def _mail_overdue(self) -> float:
        at = self.held.totals.mail_next_attempt_at
        return 0.0 if at is None else max(0, self._clock() - at) / MILLISECONDS_PER_SECOND

    def _add(
        self, name: str, documentation: str, read: Callable[[], float], mode: Mode = "livemax"
    ) -> None:
        self._gauges.append((self._gauge(name, documentation, mode=mode), read))

    def _gauge(
        self, name: str, documentation: str, labels: Sequence[str] = (), mode: Mode = "livemax"
    ) -> Gauge:
        return Gauge(name, documentation, labels, registry=self._registry, multiprocess_mode=mode)

    def _relay_lag(self, nats_service: NatsStatus) -> float:
        lag = nats_service.relay_lag(self._commits.head)
        return NOT_LEADER if lag is None else lag


def _is_mirror(nats_service: NatsStatus, state: str) -> float:
    current = nats_service.mirror()
    return NOT_LEADER if current is None else state == current


class _WithoutFollowers(Collector):
    """Leaves out the metrics of the leader if no process of the page is the leader."""

    def __init__(self, source: Collector) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        for family in self._source.collect():
            if family.name in LEADER_METRICS:
                family.samples = [each for each in family.samples if each.value != NOT_LEADER]
            yield family
