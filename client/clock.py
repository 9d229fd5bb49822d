"""The agent's own clock: seconds that only go forward, also while the machine sleeps.

Deadlines of leases are measured by it alone. A wall clock can be set, and the service's clock is
another machine's. CLOCK_MONOTONIC stops while a laptop is suspended, as if no time had passed;
CLOCK_BOOTTIME, where there is one, goes on.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]

LOOK_SECONDS = 1.0  # The event loop's timers stop while the machine sleeps; so look now and then.

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def awake_or_not() -> float:
    """Seconds since some moment in the past, those included in which the machine was asleep."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


async def sleep_until(at: float, clock: Clock) -> None:
    """Return when ``clock`` shows ``at``, or up to LOOK_SECONDS after the machine woke up."""
    while (left := at - clock()) > 0:  # noqa: ASYNC110 - it is another clock than the loop's.
        await asyncio.sleep(min(left, LOOK_SECONDS))
