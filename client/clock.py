"""The agent's monotonic clock, which includes the time during which the machine is suspended.

All deadlines of leases use this clock only. A wall clock can be set, and the clock of the service
belongs to another machine. CLOCK_MONOTONIC stops while a machine is suspended; CLOCK_BOOTTIME
continues, on systems that have it (Linux).
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]

# The timers of the event loop stop while the machine is suspended, so sleeps are this short.
SLEEP_SECONDS_MAX = 1.0

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def boot_time() -> float:
    """Return monotonic seconds since an unspecified moment, suspended time included."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


async def sleep_until(deadline: float, clock: Clock) -> None:
    """Return when ``clock`` reaches ``deadline``, at most SLEEP_SECONDS_MAX after a resume."""
    while (remaining := deadline - clock()) > 0:  # noqa: ASYNC110 - not the clock of the loop.
        await asyncio.sleep(min(remaining, SLEEP_SECONDS_MAX))
