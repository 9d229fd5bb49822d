"""A machine whose clocks a test moves."""

from quorate.runtime.clock import MonotonicClock
from tests.unit.support.specification import NOON

NANOSECONDS = 1_000_000  # Of a millisecond.


class Machine:
    """Two clocks: the wall clock can be set, the steady clock only advances."""

    def __init__(self) -> None:
        self.wall = NOON * NANOSECONDS
        self.steady = 7_000 * NANOSECONDS

    def run(self, *, minutes: float = 0, milliseconds: float = 0) -> None:
        passed = round((minutes * 60_000 + milliseconds) * NANOSECONDS)
        self.wall += passed
        self.steady += passed

    def set(self, *, hours: float) -> None:
        self.wall += round(hours * 3_600_000) * NANOSECONDS

    def clock(self) -> MonotonicClock:
        return MonotonicClock(lambda: self.wall, lambda: self.steady)
