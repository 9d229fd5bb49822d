"""A line in the log about what anybody can cause as often as they like: one each PAUSE_SECONDS."""

import time
from collections.abc import Callable

import structlog

PAUSE_SECONDS = 1.0

_logger = structlog.get_logger(__name__)


class ThrottledWarning:
    """``times`` says how often it has happened since the line before."""

    def __init__(self, event: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._event = event
        self._monotonic = monotonic
        self._times = 0
        self._said_at = -PAUSE_SECONDS

    def say(self, **facts: object) -> None:
        self._times += 1
        now = self._monotonic()
        if now - self._said_at < PAUSE_SECONDS:
            return
        _logger.warning(self._event, times=self._times, **facts)
        self._times, self._said_at = 0, now
