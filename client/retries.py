"""Retry policy of all transports: exponential backoff with jitter. No clock, sleep or I/O.

* All attempts of a request have one deadline. An attempt gets a third of the time, between
  ATTEMPT_SECONDS_MIN and ATTEMPT_SECONDS_MAX, and never more than remains.
* Only an ``UnavailableError`` is retried: no response, or a service that cannot serve now. Any
  other rejection is a final response.
* The backoff doubles from PAUSE_SECONDS_MIN to PAUSE_SECONDS_MAX. Each pause is a random part of it
  between half and all, so that agents which lost the service together do not return together.
* A delay that the service asked for (``Retry-After``) is added to it, for the same reason.
* When the next attempt would begin after the deadline, the request fails at once with the error of
  the last attempt.
"""

from collections.abc import Callable

from quorate.client.errors import UnavailableError

TIMEOUT_SECONDS_DEFAULT = 30.0
ATTEMPT_SECONDS_MIN = 1.0
ATTEMPT_SECONDS_MAX = 10.0
ATTEMPTS_MIN = 3
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0
_DOUBLINGS_MAX = 10


class RetryPolicy:
    """The attempts of one request, from its start to its deadline.

    ``clock`` returns monotonic seconds; ``random`` returns a number from 0 to 1.
    """

    def __init__(
        self, timeout_seconds: float, *, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._random = random
        self._failures = 0
        share = timeout_seconds / ATTEMPTS_MIN
        self._attempt_seconds = min(ATTEMPT_SECONDS_MAX, max(ATTEMPT_SECONDS_MIN, share))
        self.started_at = clock()
        self._deadline = self.started_at + timeout_seconds

    def attempt_seconds(self, long_poll_seconds: float = 0.0) -> float:
        """Return the timeout of an attempt that begins now."""
        return max(0.0, min(self._attempt_seconds + long_poll_seconds, self._remaining_seconds()))

    def pause_after(self, failure: UnavailableError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises ``failure`` when the next attempt would begin after the deadline.
        """
        backoff = min(
            PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2.0 ** min(self._failures, _DOUBLINGS_MAX)
        )
        self._failures += 1
        pause = (failure.retry_after_seconds or 0.0) + backoff * (1 + self._random()) / 2
        if pause >= self._remaining_seconds():
            raise failure
        return pause

    def _remaining_seconds(self) -> float:
        return self._deadline - self._clock()
