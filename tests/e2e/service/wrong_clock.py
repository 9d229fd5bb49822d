"""`quorate serve` on a machine whose clocks are wrong, and nobody has noticed.

The one on the wall is an hour ahead. The steady one runs a thousand times too fast, as it seems to
do beside a machine that was suspended: whatever was measured by it is soon wrong by minutes.
"""

import time

from quorate.cli.main import main
from quorate.runtime import clock

AHEAD_SECONDS = 3_600
TOO_FAST = 1_000
_time, _time_ns, _steady_ns = time.time, time.time_ns, time.monotonic_ns


def wrong_time() -> float:
    return _time() + AHEAD_SECONDS


def wrong_time_ns() -> int:
    return _time_ns() + AHEAD_SECONDS * 1_000_000_000


def wrong_steady_ns() -> int:
    return _steady_ns() * TOO_FAST


if __name__ == "__main__":
    time.time, time.time_ns, time.monotonic_ns = wrong_time, wrong_time_ns, wrong_steady_ns
    clock.MonotonicClock.__init__.__defaults__ = (wrong_time_ns, wrong_steady_ns)
    main()
