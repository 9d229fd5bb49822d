"""How many requests there were, how they ended and how long they took, by operation.

An operation is a row of the table of endpoints, and an outcome is a problem's code: what a stranger
writes into an address or a body is never a label, so there are only so many numbers.
"""

from collections import Counter
from typing import Literal, TypeAlias

from quorate.eventlog.metrics import FAILED, Histogram

Transport: TypeAlias = Literal["http", "nats"]

OK = "ok"
NOWHERE = "none"  # The operation of a request that asks for nothing that there is.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Tally:
    """Of one operation, over one transport."""

    __slots__ = ("outcomes", "seconds")

    def __init__(self, *, timed: bool = True) -> None:
        # Of a number that appears as 1, Prometheus cannot tell that it was 0 before.
        self.outcomes: Counter[str] = Counter({OK: 0, FAILED: 0})
        self.seconds = Histogram(SECONDS) if timed else None

    def count(self, outcome: str, seconds: float) -> None:
        self.outcomes[outcome] += 1
        if self.seconds is not None:
            self.seconds.observe(seconds)


class Tallies:
    """Of all operations, as they come to be served."""

    def __init__(self) -> None:
        self.by_operation: dict[tuple[Transport, str], Tally] = {}

    def of(self, transport: Transport, operation: str = NOWHERE, *, timed: bool = True) -> Tally:
        """``timed`` is false where a request lasts as long as its caller likes."""
        return self.by_operation.setdefault((transport, operation), Tally(timed=timed))
