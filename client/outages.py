"""Log an outage once, then at most once a minute, and its end.

A failure that is retried every second would fill the log of the application, and at level INFO
Python's default configuration would show nothing.
"""

import time
from collections.abc import Callable

from quorate.client.background_tasks import logger

REPEAT_SECONDS = 60.0


class Outage:
    """The failures of one activity, for example "The heartbeat"."""

    def __init__(self, activity: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._activity = activity
        self._clock = clock
        self._began_at: float | None = None
        self._logged_at = 0.0
        self._failures = 0

    def record_failure(self, failure: object) -> None:
        """Log a warning if it is the first failure, or a minute after the last warning."""
        now = self._clock()
        self._failures += 1
        if self._began_at is None:
            self._began_at = self._logged_at = now
            logger.warning("%s failed and will be retried: %s", self._activity, failure)
        elif now - self._logged_at >= REPEAT_SECONDS:
            self._logged_at = now
            logger.warning(
                "%s has failed %d times in %.0f s and will be retried: %s",
                *(self._activity, self._failures, now - self._began_at, failure),
            )
        else:
            logger.debug("%s failed again: %s", self._activity, failure)

    def record_success(self) -> None:
        """Log the end of the outage, if there was one."""
        if self._began_at is not None:
            seconds = self._clock() - self._began_at
            logger.info("%s works again after %.0f s", self._activity, seconds)
            self._began_at, self._failures = None, 0
