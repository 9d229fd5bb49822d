"""Counters and histograms of the command bus, without a metrics library.

* Counting costs one or two additions and takes no lock; the metrics page reads the numbers.
* The set of labels is fixed: command types, event types and stable codes, never an id or a name.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from quorate.domain.shared.state import Command
from quorate.eventlog.envelopes import CommandResult, Rejected
from quorate.eventlog.recorded_event import RecordedEvent

ACCEPTED, REPLAYED = "done", "replayed"
UNAVAILABLE, FAILED = "unavailable", "internal_error"
BATCH_COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 15.0)


class Histogram:
    """Counts of values per bucket, and their sum."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Yield each upper bound with its cumulative count; the last bound is infinity."""
        return zip((*self._bounds, float("inf")), accumulate(self._counts), strict=True)


class CommandMetrics:
    """Metrics of one command bus since its creation."""

    def __init__(self) -> None:
        self.commands: Counter[tuple[str, str]] = Counter()  # By command type and outcome.
        self.events: Counter[str] = Counter()  # By type.
        self.batch_commands = Histogram(BATCH_COMMANDS)
        self.commit_seconds = Histogram(COMMIT_SECONDS)

    def record_result(self, command: Command, result: CommandResult) -> None:
        if result.replayed:
            outcome = REPLAYED
        else:
            outcome = result.code if isinstance(result, Rejected) else ACCEPTED
        self.commands[type(command).__name__, outcome] += 1

    def record_failure(self, command: Command, outcome: str) -> None:
        self.commands[type(command).__name__, outcome] += 1

    def record_commit(self, commands: int, rows: Sequence[RecordedEvent], seconds: float) -> None:
        self.batch_commands.observe(commands)
        self.commit_seconds.observe(seconds)
        for row in rows:
            self.events[row.type] += 1
