"""Counters and histograms of the command bus.

* A metric is bound to its labels once; counting looks up the bound metric.
* The set of labels is fixed: command types, event types and stable codes, never an id or a name.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from quorate.domain.identity.agents import AgentLapsed
from quorate.domain.registry import COMMANDS
from quorate.domain.shared.state import Command
from quorate.eventlog.envelopes import CommandResult, Rejected
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import VERSIONS

ACCEPTED, REPLAYED = "done", "replayed"
UNAVAILABLE, FAILED = "unavailable", "internal_error"
BATCH_COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 15.0)
Key = TypeVar("Key")
BoundMetric = TypeVar("BoundMetric")

# Without this, the library adds a series with the creation time to every other one.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Bound(dict[Key, BoundMetric]):
    """Metrics bound to their label values; ``bind`` is called once for each key."""

    def __init__(self, bind: Callable[[Key], BoundMetric]) -> None:
        super().__init__()
        self._bind = bind

    def __missing__(self, key: Key) -> BoundMetric:
        bound = self[key] = self._bind(key)
        return bound


class CommandMetrics:
    """Metrics of one command bus, in the registry of its service if it has one."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        commands = Counter(
            "quorate_commands",
            "Commands, by type and outcome.",
            ("command", "outcome"),
            registry=registry,
        )
        self._batch_commands = Histogram(
            "quorate_batch_commands",
            "Commands per transaction (group commit).",
            registry=registry,
            buckets=BATCH_COMMANDS,
        )
        self._commit_seconds = Histogram(
            "quorate_commit_seconds",
            "Time to commit a transaction, in seconds.",
            registry=registry,
            buckets=COMMIT_SECONDS,
        )
        events = Counter(
            "quorate_events",
            "Events that this process appended to the log, by type.",
            ("type",),
            registry=registry,
        )
        self._agent_timeouts = Counter(
            "quorate_agent_timeouts",
            "Agent heartbeat timeouts that this process recorded.",
            registry=registry,
        )
        self._results = Bound[tuple[str, str], Counter](lambda key: commands.labels(*key))
        self._events = Bound[str, Counter](events.labels)
        # Prometheus does not count the first value of a new series, so known ones start at 0.
        for command in COMMANDS:
            _ = self._results[command, ACCEPTED]
        for type_ in VERSIONS:
            _ = self._events[type_]

    def record_result(self, command: Command, result: CommandResult) -> None:
        if result.replayed:
            outcome = REPLAYED
        else:
            outcome = result.code if isinstance(result, Rejected) else ACCEPTED
        self._results[type(command).__name__, outcome].inc()

    def record_failure(self, command: Command, outcome: str) -> None:
        self._results[type(command).__name__, outcome].inc()

    def record_commit(self, commands: int, rows: Sequence[RecordedEvent], seconds: float) -> None:
        self._batch_commands.observe(commands)
        self._commit_seconds.observe(seconds)
        counts: dict[str, int] = {}
        for row in rows:
            counts[row.type] = counts.get(row.type, 0) + 1
        for type_, count in counts.items():
            self._events[type_].inc(count)
            if type_ == AgentLapsed.__name__:
                self._agent_timeouts.inc(count)
