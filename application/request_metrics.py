"""Count requests by operation and outcome, and measure their duration.

An operation is the name of an endpoint, and an outcome is a problem code. Text that a client writes
into a path or body never becomes a label, so the number of label values is bounded.
"""

from collections import Counter
from typing import Literal, TypeAlias

from quorate.eventlog.metrics import FAILED, Histogram

Transport: TypeAlias = Literal["http", "nats"]

OK = "ok"
UNKNOWN_OPERATION = "none"  # The operation of a request for an unknown path.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class OperationMetrics:
    """Metrics of one operation over one transport."""

    __slots__ = ("outcomes", "seconds")

    def __init__(self, *, timed: bool = True) -> None:
        # Prometheus does not count the first value of a new series, so each starts at 0.
        self.outcomes: Counter[str] = Counter({OK: 0, FAILED: 0})
        self.seconds = Histogram(SECONDS) if timed else None

    def count(self, outcome: str, seconds: float) -> None:
        self.outcomes[outcome] += 1
        if self.seconds is not None:
            self.seconds.observe(seconds)


class RequestMetrics:
    """Metrics of all operations, created at first use."""

    def __init__(self) -> None:
        self.by_operation: dict[tuple[Transport, str], OperationMetrics] = {}

    def of(
        self, transport: Transport, operation: str = UNKNOWN_OPERATION, *, timed: bool = True
    ) -> OperationMetrics:
        """Pass ``timed=False`` for streams: the client decides how long they last."""
        return self.by_operation.setdefault((transport, operation), OperationMetrics(timed=timed))
