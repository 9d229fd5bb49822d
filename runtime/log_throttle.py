"""Log a repeated warning at most once per PAUSE_SECONDS, with the number of occurrences."""

import time
from collections.abc import Callable

import structlog

PAUSE_SECONDS = 1.0

_logger = structlog.get_logger(__name__)


class ThrottledWarning:
    """A warning with the field ``times``: the occurrences since the last log line."""

    def __init__(self, event: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._monotonic = monotonic
        self._times = 0
        self._logged_at = -PAUSE_SECONDS

    def warn(self, **fields: object) -> None:
        self._times += 1
        now = self._monotonic()
        if now - self._logged_at < PAUSE_SECONDS:
            return
        _logger.warning(self._event, times=self._times, **fields)
        self._times, self._logged_at = 0, now
