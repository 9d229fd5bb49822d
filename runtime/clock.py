"""The time of the server: the wall clock, but strictly monotonic.

A wall clock may be set back, by hand or by NTP. Leases and heartbeat timeouts must still expire.

* Time advances with the steady clock of the machine, from the latest time known in this process or
  in the log. It jumps ahead when the wall clock is ahead.
* Steady clocks differ in speed. If this one is slightly too fast, time waits for the wall clock.
"""

import time
from collections.abc import Callable
from typing import TypeAlias

from quorate.domain.shared.timestamps import Timestamp

NANOSECONDS_PER_MILLISECOND = 1_000_000
TOO_FAST_NANOSECONDS_MAX = 100_000_000  # Above this, the wall clock was set back.
Nanoseconds: TypeAlias = Callable[[], int]


class MonotonicClock:
    """The clock that all parts of a process share."""

    def __init__(
        self, wall: Nanoseconds = time.time_ns, steady: Nanoseconds = time.monotonic_ns
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._ahead = wall() - steady()  # Offset of time to the steady clock.
        self._last = 0

    def __call__(self) -> Timestamp:
        wall, steady = self._wall(), self._steady()
        self._ahead = max(self._ahead, wall - steady)
        self._last = max(self._last, steady + self._ahead)
        return Timestamp(self._last // NANOSECONDS_PER_MILLISECOND)

    def follow(self, wall: Nanoseconds, *, back: bool = False) -> None:
        """Follow another wall clock, or the same one measured again.

        ``back=True`` follows it even if it was set back by any amount, because other processes
        decide by it. Time then stops until that clock has caught up.
        """
        self._wall = wall
        ahead = wall() - self._steady()
        too_fast = self._ahead - ahead
        if too_fast > 0 and (back or too_fast <= TOO_FAST_NANOSECONDS_MAX):
            self._ahead = ahead

    def advance_to(self, at: Timestamp) -> None:
        """Advance to ``at`` at least: another process or an earlier run recorded this time."""
        self._ahead = max(self._ahead, at * NANOSECONDS_PER_MILLISECOND - self._steady())
