"""Count requests by operation and outcome, and measure their duration.

An operation is the name of an endpoint, and an outcome is a problem code. Text that a client writes
into a path or body never becomes a label, so the number of label values is bounded.
"""

from functools import cached_property
from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram

from quorate.contracts.problems import KINDS
from quorate.eventlog.metrics import FAILED, Bound

Transport: TypeAlias = Literal["http", "nats", "mcp", "console"]

OK = "ok"
UNKNOWN_OPERATION = "none"  # The operation of a request for an unknown path.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


def status_of(outcome: str) -> str:
    return "200" if outcome == OK else str(KINDS[outcome].status)


class RequestMetrics:
    """Metrics of all operations, in the registry of the service if it has one."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.requests = Counter(
            "quorate_requests",
            "Requests, by operation and outcome.",
            ("transport", "operation", "outcome", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "quorate_request_seconds",
            "Time to respond to a request, in seconds.",
            ("transport", "operation"),
            registry=registry,
            buckets=SECONDS,
        )
        self._by_operation: dict[tuple[Transport, str], OperationMetrics] = {}

    def of(
        self, transport: Transport, operation: str = UNKNOWN_OPERATION, *, timed: bool = True
    ) -> "OperationMetrics":
        """Pass ``timed=False`` for streams: the client decides how long they last."""
        key = transport, operation
        if key not in self._by_operation:
            self._by_operation[key] = OperationMetrics(self, transport, operation, timed=timed)
        return self._by_operation[key]


class OperationMetrics:
    """Metrics of one operation over one transport."""

    def __init__(
        self, metrics: RequestMetrics, transport: Transport, operation: str, *, timed: bool
    ) -> None:
        self._metrics = metrics
        self._labels = transport, operation
        self._timed = timed
        self._outcomes = Bound[str, Counter](
            lambda outcome: metrics.requests.labels(
                transport, operation, outcome, status_of(outcome)
            )
        )
        for outcome in (OK, FAILED):  # Prometheus does not count the first value of a new series.
            _ = self._outcomes[outcome]

    def count(self, outcome: str, seconds: float | None = None) -> None:
        """Count a request; without ``seconds`` its duration is not measured."""
        self._outcomes[outcome].inc()
        if self._timed and seconds is not None:
            self._seconds.observe(seconds)

    @cached_property
    def _seconds(self) -> Histogram:
        """Bound at first use: an operation that has no requests has no 15 series."""
        return self._metrics.seconds.labels(*self._labels)
