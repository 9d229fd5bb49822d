"""A metrics page with parts that a test can set, and functions to read it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, cast

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from quorate.application.mail.relay_metrics import RelayMetrics
from quorate.application.request_metrics import RequestMetrics
from quorate.application.subscriptions import Subscriptions
from quorate.bus.auth.callout import AuthCallout
from quorate.bus.auth.client_limits import ClientLimits
from quorate.bus.flood_guard import FloodGuard
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.metrics import CommandMetrics
from quorate.projections.totals import Totals
from quorate.runtime.clock import MonotonicClock
from quorate.server.commit_followers import CommitFollowers
from quorate.server.leader_election import LeaderTasks
from quorate.server.log_checks import LogVerification
from quorate.server.metrics import Metrics


class _Commits:
    head = 7
    notification_age_seconds = 0.25


class _CommandBus:
    waiting = 0
    damage: str | None = None

    def __init__(self, registry: CollectorRegistry) -> None:
        self.metrics = CommandMetrics(registry)


class _Leader:
    is_leader = True


class _Followers:
    lag: int | None = 3

    def history_lag(self, head: int) -> int | None:
        assert head == _Commits.head
        return self.lag


class _NatsService:
    connected_keys = 3
    mirror_state: str | None = "following"
    lag: int | None = 2

    connected = True

    def is_connected(self) -> bool:
        return self.connected

    def mirror(self) -> str | None:
        return self.mirror_state

    def relay_lag(self, head: int) -> int | None:
        assert head == _Commits.head
        return self.lag


class _Held:
    totals = Totals(
        tenants=2, active_agents=3, live_leases=4, open_proposals=5, database_bytes=4_096
    )
    disk_free_bytes = 1_000_000_000
    last_backup_seconds = 1_700_000_000.0

    async def run(self) -> NoReturn:
        raise NotImplementedError


class _Connections:
    on_excess: Any = None


class Watched:
    """Metrics with test doubles; ``now`` is the clock, which only the test advances."""

    def __init__(self, workers_dir: Path | None = None) -> None:
        self.now = 100.0
        registry, unused = CollectorRegistry(), cast("Any", None)
        self.request_metrics, self.command_bus = RequestMetrics(registry), _CommandBus(registry)
        self.nats_service, self.subscriptions = _NatsService(), Subscriptions()
        self.followers = _Followers()
        RelayMetrics(registry)
        AuthCallout(unused, unused, unused, registry)
        FloodGuard(on_flood=unused, registry=registry)
        ClientLimits(_Connections(), unused, registry=registry)  # type: ignore[arg-type]
        self.metrics = Metrics(
            registry=registry,
            request_metrics=self.request_metrics,
            command_bus=cast("CommandBus", self.command_bus),
            commits=cast("CommitFeed", _Commits()),
            nats_service=self.nats_service,
            subscriptions=self.subscriptions,
            leader=cast("LeaderTasks", _Leader()),
            held=_Held(),
            verification=LogVerification(unused, unused),
            followers=cast("CommitFollowers", self.followers),
            clock=MonotonicClock(),
            workers_dir=workers_dir,
            monotonic=lambda: self.now,
        )

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return samples(self.metrics.page().decode())


def count_requests(watched: Watched) -> None:
    """Count requests of each kind, so that every metric has a series."""
    acquire = watched.request_metrics.of("http", "acquireLease")
    acquire.count("ok", 0.004)
    acquire.count("lease_conflict", 0.2)
    watched.request_metrics.of("http", "streamEvents", timed=False).count("ok", 3.0)
    watched.request_metrics.of("nats", "heartbeat")


def families(page: str) -> Iterator[Metric]:
    yield from text_string_to_metric_families(page)


def samples(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every value by name and labels; no sample may occur twice."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in families(page):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())
