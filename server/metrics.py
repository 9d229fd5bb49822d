"""Prometheus metrics of this process; none of them reveals anything about a client.

* No tenant, agent or key is a label, and every label has a fixed, small set of values: every client
  that can reach the port may read the page.
* The service counts in plain numbers, and the page is built on request. The same page is served
  again for PAGE_SECONDS.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

import quorate
from quorate.application.request_metrics import OK, RequestMetrics
from quorate.application.subscriptions import SUBSCRIPTIONS_MAX, Subscriptions
from quorate.bus.outbox import jetstream_mirror
from quorate.contracts.problems import KINDS
from quorate.domain.identity.agents import AgentLapsed
from quorate.domain.registry import COMMANDS
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.command_queue import QUEUE_COMMANDS_MAX
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.metrics import ACCEPTED, Histogram
from quorate.eventlog.serialization import VERSIONS
from quorate.server.http_protocol import REJECTED
from quorate.server.leader_election import LeaderTasks

PAGE_SECONDS = 0.5
PREFIX = "quorate_"
UNREAD = "unread"  # The operation of a request that was rejected before it was parsed.
MIRROR_STATES = (
    jetstream_mirror.WAITING,
    jetstream_mirror.FOLLOWING,
    jetstream_mirror.STOPPED,
    jetstream_mirror.UNAVAILABLE,
)


class NatsStatus(Protocol):
    """The state of the NATS service."""

    @property
    def connected_keys(self) -> int: ...

    @property
    def login_seconds(self) -> Mapping[str, Histogram]:
        """Return the duration of logins, by outcome."""

    def is_connected(self) -> bool: ...

    def mirror(self) -> str | None: ...

    def relay_lag(self, head: int) -> int | None: ...


class Page:
    """The metrics of a registry in the text format of Prometheus, cached for PAGE_SECONDS."""

    def __init__(
        self, registry: CollectorRegistry, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._monotonic = monotonic
        self._page = b""
        self._valid_until = 0.0

    def __call__(self) -> bytes:
        now = self._monotonic()
        if now >= self._valid_until:
            self._page, self._valid_until = generate_latest(self._registry), now + PAGE_SECONDS
        return self._page


class Metrics(Collector):
    def __init__(
        self,
        *,
        request_metrics: RequestMetrics,
        command_bus: CommandBus,
        commits: CommitFeed,
        nats_service: NatsStatus,
        subscriptions: Subscriptions,
        leader: LeaderTasks,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request_metrics = request_metrics
        self._command_bus = command_bus
        self._commits = commits
        self._nats_service = nats_service
        self._subscriptions = subscriptions
        self._leader = leader
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self.page = Page(registry, monotonic)

    def collect(self) -> Iterator[Metric]:
        info = _Gauge("info", "The version of Quorate.", ("version",))
        info.put([quorate.__version__], 1)
        yield info
        yield from self._request_metric_families()
        yield from self._command_metric_families()
        yield from self._log_metric_families()
        yield from self._nats_metric_families()

    def _request_metric_families(self) -> Iterator[Metric]:
        labels = ("transport", "operation", "outcome", "status")
        counts = _Counter("requests", "Requests, by operation and outcome.", labels)
        durations = _Histogram(
            "request_seconds",
            "Time to respond to a request, in seconds.",
            ("transport", "operation"),
        )
        for (transport, operation), tally in self._request_metrics.by_operation.items():
            for outcome, count in tally.outcomes.items():
                counts.put([transport, operation, outcome, _status(outcome)], count)
            if tally.seconds is not None and tally.seconds.count:
                durations.put([transport, operation], tally.seconds)
        for outcome, count in REJECTED.items():
            counts.put(["http", UNREAD, outcome, _status(outcome)], count)
        yield counts
        yield durations
        open_count = self._subscriptions.open_count
        yield _gauge("open_streams", "Open event streams and long polls.", open_count)
        yield _gauge(
            "open_streams_max",
            "Maximum number of open event streams and long polls.",
            SUBSCRIPTIONS_MAX,
        )

    def _command_metric_families(self) -> Iterator[Metric]:
        tally = self._command_bus.metrics
        commands = _Counter("commands", "Commands, by type and outcome.", ("command", "outcome"))
        for key, count in (dict.fromkeys(_ACCEPTED, 0) | tally.commands).items():
            commands.put(key, count)
        yield commands
        for name, documentation, histogram in (
            ("batch_commands", "Commands per transaction (group commit).", tally.batch_commands),
            ("commit_seconds", "Time to commit a transaction, in seconds.", tally.commit_seconds),
        ):
            family = _Histogram(name, documentation)
            family.put([], histogram)
            yield family
        yield _gauge(
            "command_queue_length",
            "Commands in the queue of the command bus.",
            self._command_bus.waiting,
        )
        yield _gauge(
            "command_queue_length_max", "Maximum length of the command queue.", QUEUE_COMMANDS_MAX
        )

    def _log_metric_families(self) -> Iterator[Metric]:
        recorded: Counter[str] = self._command_bus.metrics.events
        events = _Counter(
            "events", "Events that this process appended to the log, by type.", ("type",)
        )
        for type_ in VERSIONS:
            events.put([type_], recorded[type_])
        yield events
        timeouts = _Counter(
            "agent_timeouts", "Agent heartbeat timeouts that this process recorded."
        )
        timeouts.put([], recorded[AgentLapsed.__name__])
        yield timeouts
        yield _gauge("log_head", "The last log position known to this process.", self._commits.head)
        yield _gauge(
            "log_corrupted",
            "1 if the log is corrupted and the service is read-only.",
            bool(self._command_bus.damage),
        )
        age = self._commits.notification_age_seconds
        yield _gauge(
            "commit_notification_age_seconds",
            "Time since this process last checked for commits of other processes, in seconds.",
            age,
        )
        yield _gauge(
            "leader",
            "1 if this process is the leader (outbox relay and deadline scheduler).",
            self._leader.is_leader,
        )

    def _nats_metric_families(self) -> Iterator[Metric]:
        nats_service = self._nats_service
        yield _gauge(
            "nats_connected", "1 if the service is connected to NATS.", nats_service.is_connected()
        )
        yield _gauge("connected_agents", "API keys connected to NATS.", nats_service.connected_keys)
        logins = _Histogram(
            "auth_callout_seconds",
            "Time to answer a NATS login (auth callout), in seconds, by outcome.",
            ("outcome",),
        )
        for outcome, seconds in nats_service.login_seconds.items():
            logins.put([outcome], seconds)
        yield logins
        lag = _Gauge(
            "relay_lag_events",
            "Events not yet published to NATS and mirrored to JetStream (leader only).",
        )
        if (lag_events := nats_service.relay_lag(self._commits.head)) is not None:
            lag.put([], lag_events)
        yield lag
        states = _Gauge(
            "mirror_state",
            "1 for the current state of the JetStream mirror (leader only).",
            ("state",),
        )
        if (now := nats_service.mirror()) is not None:
            for state in MIRROR_STATES:
                states.put([state], state == now)
        yield states


_ACCEPTED = [(command, ACCEPTED) for command in COMMANDS]  # Present from the start, with value 0.


def _status(outcome: str) -> str:
    return "200" if outcome == OK else str(KINDS[outcome].status)


# -- Families ----------------------------------------------------------------


class _Counter(CounterMetricFamily):
    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        super().__init__(PREFIX + name, documentation, labels=labels)

    def put(self, labels: Sequence[str], value: int) -> None:
        self.add_metric(labels, value)


class _Gauge(GaugeMetricFamily):
    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        super().__init__(PREFIX + name, documentation, labels=labels)

    def put(self, labels: Sequence[str], value: float) -> None:
        self.add_metric(labels, value)


def _gauge(name: str, documentation: str, value: float) -> _Gauge:
    gauge = _Gauge(name, documentation)
    gauge.put([], value)
    return gauge


class _Histogram(HistogramMetricFamily):
    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        super().__init__(PREFIX + name, documentation, labels=labels)

    def put(self, labels: Sequence[str], histogram: Histogram) -> None:
        buckets = [
            (floatToGoString(bound), count)  # type: ignore[no-untyped-call]
            for bound, count in histogram.buckets()
        ]
        self.add_metric(labels, buckets, histogram.sum)
