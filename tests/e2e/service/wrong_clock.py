"""`quorate serve` on a machine with wrong clocks.

The wall clock is an hour ahead. The monotonic clock runs a thousand times too fast, so durations
are soon wrong by minutes, as after a suspension of the machine.
"""

import time

from quorate.cli.main import main
from quorate.runtime import clock

AHEAD_SECONDS = 3_600
TOO_FAST = 1_000
_time, _time_ns, _monotonic_ns = time.time, time.time_ns, time.monotonic_ns


def wrong_time() -> float:
    return _time() + AHEAD_SECONDS


def wrong_time_ns() -> int:
    return _time_ns() + AHEAD_SECONDS * 1_000_000_000


def wrong_monotonic_ns() -> int:
    return _monotonic_ns() * TOO_FAST


if __name__ == "__main__":
    time.time, time.time_ns, time.monotonic_ns = wrong_time, wrong_time_ns, wrong_monotonic_ns
    clock._STEADY = None  # So that it is ``time.monotonic_ns``.
    clock.MonotonicClock.__init__.__defaults__ = (wrong_time_ns, wrong_monotonic_ns)
    main()
