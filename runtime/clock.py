"""The server's time: the machine's, but never going back and never standing still.

A wall clock is set back, by hand or by NTP; leases must still run out and lapsed agents still
lapse. So time flows with the machine's steady clock from the latest moment there ever was, here or
in the log, and leaps ahead whenever the wall clock is ahead of that. Steady clocks differ in speed
though: one that is found to be a little too fast waits for the wall clock.
"""

import time
from collections.abc import Callable
from typing import TypeAlias

from quorate.domain.shared.timestamps import Timestamp

NANOSECONDS_PER_MILLISECOND = 1_000_000
TOO_FAST_NANOSECONDS_MAX = 100_000_000  # Beyond, the wall clock was set back.
Nanoseconds: TypeAlias = Callable[[], int]


class MonotonicClock:
    """One for everything in a process that asks for the time."""

    def __init__(
        self, wall: Nanoseconds = time.time_ns, steady: Nanoseconds = time.monotonic_ns
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._ahead = wall() - steady()  # How far time is ahead of the steady clock.
        self._last = 0

    def __call__(self) -> Timestamp:
        wall, steady = self._wall(), self._steady()
        self._ahead = max(self._ahead, wall - steady)
        self._last = max(self._last, steady + self._ahead)
        return Timestamp(self._last // NANOSECONDS_PER_MILLISECOND)

    def follow(self, wall: Nanoseconds, *, back: bool = False) -> None:
        """From now on by another wall clock, or by the same one measured again.

        ``back``: however far that was set back, because it is the one by which others decide. Then
        time stands still here as well, until that clock has caught up.
        """
        self._wall = wall
        ahead = wall() - self._steady()
        too_fast = self._ahead - ahead
        if too_fast > 0 and (back or too_fast <= TOO_FAST_NANOSECONDS_MAX):
            self._ahead = ahead

    def not_before(self, at: Timestamp) -> None:
        """Time has come to ``at`` already: another process, or an earlier run, wrote so."""
        self._ahead = max(self._ahead, at * NANOSECONDS_PER_MILLISECOND - self._steady())
