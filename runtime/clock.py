"""The time of the server: the wall clock, but strictly monotonic, and safe from single jumps.

A wall clock may be set, by hand, by NTP, or by mistake for a moment. Leases and heartbeat timeouts
must still expire, and not all at once.

* Time advances with the steady clock of the machine, from the latest time known in this process or
  in the log.
* If the wall clock is set back, time continues, by a tenth slower until the wall clock has caught
  up. A lease then lasts longer than stated, by a ninth at most, and never shorter.
* If the wall clock jumps ahead by more than STEP_NANOSECONDS_MAX, time follows only when the jump
  has lasted for CONFIRM_NANOSECONDS. After a jump of two seconds nothing has happened.
* Ages by which data is deleted (``cautious``) ignore jumps of the last days altogether.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from quorate.domain.shared.timestamps import Timestamp

NANOSECONDS_PER_MILLISECOND = 1_000_000
NANOSECONDS_PER_SECOND = 1_000_000_000
STEP_NANOSECONDS_MAX = NANOSECONDS_PER_SECOND  # A larger difference means that a clock was set.
CONFIRM_NANOSECONDS = 60 * NANOSECONDS_PER_SECOND
SLOWER = 10  # The part of passed time by which time falls behind while it is ahead.
STEPS_KEPT_NANOSECONDS = 7 * 24 * 3_600 * NANOSECONDS_PER_SECOND
STEPS_KEPT_MAX = 1_000
Nanoseconds: TypeAlias = Callable[[], int]


def steady_ns() -> int:
    """Return a clock that is never set. Where possible it includes the suspension of the machine:
    the wall clock is ahead then, and was not set.
    """
    return time.clock_gettime_ns(_STEADY) if _STEADY is not None else time.monotonic_ns()


_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class MonotonicClock:
    """The clock that all parts of a process share."""

    def __init__(self, wall: Nanoseconds = time.time_ns, steady: Nanoseconds = steady_ns) -> None:
        self._wall = wall
        self._steady = steady
        self._read_at = steady()
        self._ahead = wall() - self._read_at  # Offset of time to the steady clock.
        self._last = 0
        self._lead = 0  # Offset of time to the wall clock when it was last read.
        self._shared_lead = 0  # Offset of that wall clock to the one of the database.
        self._jumped_at: int | None = None
        self._steps: deque[tuple[int, int]] = deque(maxlen=STEPS_KEPT_MAX)
        self._was_measured = self._was_set_back = False
        # Whether this clock agreed with the shared clock from one measurement to the next.
        self.is_trusted = False

    def __call__(self) -> Timestamp:
        wall, steady = self._wall(), self._steady()
        self._follow(wall - steady, steady)
        self._last = max(self._last, steady + self._ahead)
        return Timestamp(self._last // NANOSECONDS_PER_MILLISECOND)

    def cautious(self) -> Timestamp:
        """Return the time by which data may be deleted: without the jumps of the last days."""
        now, since = self(), self._steady() - STEPS_KEPT_NANOSECONDS
        steps = sum(step for at, step in self._steps if at >= since)
        return Timestamp(now - steps // NANOSECONDS_PER_MILLISECOND)

    @property
    def seconds_ahead(self) -> float:
        """The lead of time over the wall clock; negative while time does not follow a jump."""
        return (self._lead + self._shared_lead) / NANOSECONDS_PER_SECOND

    def _follow(self, measured: int, steady: int) -> None:
        """Follow ``measured``, the offset of the wall clock to the steady clock."""
        passed, self._read_at = max(0, steady - self._read_at), steady
        if self._ahead >= measured:
            self._jumped_at = None
            self._ahead -= min(self._ahead - measured, passed // SLOWER)
        elif measured - self._ahead <= STEP_NANOSECONDS_MAX:
            self._jumped_at = None
            self._ahead = measured
        elif self._has_lasted(steady):
            self._steps.append((steady, measured - self._ahead))
            self._ahead = measured
        self._lead = self._ahead - measured

    def _has_lasted(self, steady: int) -> bool:
        """Whether the wall clock jumped ahead, and has stayed there."""
        if self._jumped_at is None:
            self._jumped_at = steady
        if steady - self._jumped_at < CONFIRM_NANOSECONDS:
            return False
        self._jumped_at = None
        return True

    def follow(self, wall: Nanoseconds, *, shared_lead: int = 0) -> bool:
        """Follow the clock that several processes share, measured again.

        Returns False if that clock was set back, and the processes have not agreed on it yet. Then
        this clock continues until the next call. After that it waits for the shared clock, by which
        the processes decide: perhaps it is this machine whose clocks are wrong.
        """
        behind = self._ahead - (wall() - self._steady())
        was_set_back, has_jumped = behind > STEP_NANOSECONDS_MAX, behind < -STEP_NANOSECONDS_MAX
        if was_set_back and self.is_trusted and not self._was_set_back:
            self._was_set_back = True
            return False
        if behind > 0:
            self._ahead -= behind
        self._wall, self._shared_lead = wall, shared_lead
        if was_set_back:
            self.is_trusted = False
        elif not has_jumped:
            self.is_trusted = self._was_measured
        self._was_measured, self._was_set_back = True, False
        return True

    def advance_to(self, at: Timestamp) -> None:
        """Advance to ``at`` at least: another process or an earlier run recorded this time."""
        steady = self._steady()
        step = at * NANOSECONDS_PER_MILLISECOND - steady - self._ahead
        if step > 0:
            self._ahead += step
            if step > STEP_NANOSECONDS_MAX and self._last:
                self._steps.append((steady, step))
