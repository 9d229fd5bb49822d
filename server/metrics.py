"""What Prometheus reads: numbers about this process, and nothing about anybody who uses it.

* No tenant, agent or key is a label, and every label has few values, known beforehand: anybody who
  reaches the port may read this.
* Nothing is computed until somebody asks: the service counts in plain numbers, and these are put
  together here. Whoever asks more often than every PAGE_SECONDS gets the same page again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, get_args

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

import quorate
from quorate.application.request_metrics import OK, Tallies
from quorate.application.subscriptions import WAITING_MAX, Subscriptions
from quorate.bus.outbox import jetstream_mirror
from quorate.contracts.problems import KINDS
from quorate.domain.commands import Command
from quorate.domain.identity.agents import AgentLapsed
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.command_queue import ORDERS_MAX
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.metrics import DONE, Histogram
from quorate.eventlog.serialization import VERSIONS
from quorate.server.http_protocol import REFUSED
from quorate.server.leader_election import LeaderTasks

PAGE_SECONDS = 0.5
PREFIX = "quorate_"
UNREAD = "unread"  # The operation of what was refused before it could be read.
COMMANDS = tuple(kind.__name__ for kind in get_args(Command))
MIRROR_STATES = (
    jetstream_mirror.WAITING,
    jetstream_mirror.FOLLOWING,
    jetstream_mirror.STOPPED,
    jetstream_mirror.UNAVAILABLE,
)


class Pushing(Protocol):
    """What is known of NATS."""

    @property
    def connected_keys(self) -> int: ...

    @property
    def login_seconds(self) -> Mapping[str, Histogram]:
        """How long logins took, by outcome."""

    def is_connected(self) -> bool: ...

    def mirror(self) -> str | None: ...

    def behind(self, head: int) -> int | None: ...


class Page:
    """All that a registry has, in Prometheus' text format; made anew every PAGE_SECONDS at most."""

    def __init__(
        self, registry: CollectorRegistry, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._monotonic = monotonic
        self._made = b""
        self._until = 0.0

    def __call__(self) -> bytes:
        now = self._monotonic()
        if now >= self._until:
            self._made, self._until = generate_latest(self._registry), now + PAGE_SECONDS
        return self._made


class Metrics(Collector):
    def __init__(
        self,
        *,
        tallies: Tallies,
        door: CommandBus,
        commits: CommitFeed,
        push: Pushing,
        tails: Subscriptions,
        leader: LeaderTasks,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tallies = tallies
        self._door = door
        self._commits = commits
        self._push = push
        self._tails = tails
        self._leader = leader
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self.page = Page(registry, monotonic)

    def collect(self) -> Iterator[Metric]:
        info = _Gauge("info", "Which Quorate this is.", ("version",))
        info.put([quorate.__version__], 1)
        yield info
        yield from self._of_requests()
        yield from self._of_commands()
        yield from self._of_the_log()
        yield from self._of_nats()

    def _of_requests(self) -> Iterator[Metric]:
        labels = ("transport", "operation", "outcome", "status")
        counts = _Counter("requests", "Requests, by how they were answered.", labels)
        lasted = _Histogram("request_seconds", "Until the answer.", ("transport", "operation"))
        for (transport, operation), tally in self._tallies.by_operation.items():
            for outcome, count in tally.outcomes.items():
                counts.put([transport, operation, outcome, _status(outcome)], count)
            if tally.seconds is not None and tally.seconds.count:
                lasted.put([transport, operation], tally.seconds)
        for outcome, count in REFUSED.items():
            counts.put(["http", UNREAD, outcome, _status(outcome)], count)
        yield counts
        yield lasted
        taken = self._tails.taken
        yield _one("waiting_callers", "Event streams and long polls that are open.", taken)
        yield _one("waiting_callers_max", "How many of them there may be.", WAITING_MAX)

    def _of_commands(self) -> Iterator[Metric]:
        tally = self._door.tally
        commands = _Counter("commands", "Commands, by their outcome.", ("command", "outcome"))
        for key, count in (dict.fromkeys(_DONE, 0) | tally.commands).items():
            commands.put(key, count)
        yield commands
        for name, documentation, histogram in (
            ("batch_commands", "Commands in one transaction.", tally.batch_commands),
            ("commit_seconds", "From a transaction's begin to its end.", tally.commit_seconds),
        ):
            family = _Histogram(name, documentation)
            family.put([], histogram)
            yield family
        yield _one("commands_waiting", "Commands in line for the log.", self._door.waiting)
        yield _one("commands_waiting_max", "How many there may be.", ORDERS_MAX)

    def _of_the_log(self) -> Iterator[Metric]:
        recorded: Counter[str] = self._door.tally.events
        events = _Counter("events", "Events that this process recorded.", ("type",))
        for type_ in VERSIONS:
            events.put([type_], recorded[type_])
        yield events
        lapses = _Counter("lapses", "Lapses of agents that this process recorded.")
        lapses.put([], recorded[AgentLapsed.__name__])
        yield lapses
        yield _one("log_head", "The last position that this process heard of.", self._commits.head)
        yield _one("log_damaged", "1 when it is read only.", bool(self._door.damage))
        unheard = self._commits.seconds_unheard
        yield _one("log_unheard_seconds", "Since others' commits were last looked for.", unheard)
        yield _one("leader", "1 where the relay and the timer run.", self._leader.leads)

    def _of_nats(self) -> Iterator[Metric]:
        push = self._push
        yield _one("nats_connected", "1 while agents can connect.", push.is_connected())
        yield _one("connected_agents", "Keys connected to NATS.", push.connected_keys)
        logins = _Histogram("auth_callout_seconds", "Until a login was answered.", ("outcome",))
        for outcome, seconds in push.login_seconds.items():
            logins.put([outcome], seconds)
        yield logins
        lag = _Gauge("relay_lag_events", "Events not yet said and copied; of the leader only.")
        if (behind := push.behind(self._commits.head)) is not None:
            lag.put([], behind)
        yield lag
        states = _Gauge("mirror_state", "1 at the copy's state; of the leader only.", ("state",))
        if (now := push.mirror()) is not None:
            for state in MIRROR_STATES:
                states.put([state], state == now)
        yield states


_DONE = [(command, DONE) for command in COMMANDS]  # There from the start, as 0.


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


def _one(name: str, documentation: str, value: float) -> _Gauge:
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
