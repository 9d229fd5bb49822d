"""When to try again: one policy for all transports, and no clock, sleep or chance of its own.

* All attempts of a call have one deadline. An attempt gets a third of the time, ATTEMPT_SECONDS_MIN
  to ATTEMPT_SECONDS_MAX, and no more than is left.
* Only what may help is tried again: nobody answered, or the service cannot serve now. A refusal
  is an answer and ends the call.
* Pauses double from PAUSE_SECONDS_MIN to PAUSE_SECONDS_MAX, and each is drawn by lot between half
  of that and all of it, so that agents which lost the service together don't return together.
  A wait that the service asked for (Retry-After) comes before it, so that those who were sent
  away together don't return together either.
* When the next attempt would begin past the deadline, the call fails at once, with what the last
  attempt met.
"""

from collections.abc import Callable

from quorate.client.errors import Unavailable

WITHIN_SECONDS_DEFAULT = 30.0
ATTEMPT_SECONDS_MIN = 1.0
ATTEMPT_SECONDS_MAX = 10.0
ATTEMPTS_PER_CALL_MIN = 3
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0
_DOUBLINGS_MAX = 10


class RetryPolicy:
    """The attempts of one call, from its beginning to its deadline.

    ``clock`` tells seconds that never go back; ``lot`` draws from 0 to 1.
    """

    def __init__(
        self, within_seconds: float, *, clock: Callable[[], float], lot: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._lot = lot
        self._failures = 0
        share = within_seconds / ATTEMPTS_PER_CALL_MIN
        self._share = min(ATTEMPT_SECONDS_MAX, max(ATTEMPT_SECONDS_MIN, share))
        self.began_at = clock()
        self._ends_at = self.began_at + within_seconds

    def seconds(self, waits_seconds: float = 0.0) -> float:
        """How long the attempt that begins now may take."""
        return max(0.0, min(self._share + waits_seconds, self._left()))

    def pause_after(self, failure: Unavailable) -> float:
        """How long to wait before the next attempt; raises ``failure`` when time is over."""
        widest = min(
            PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2.0 ** min(self._failures, _DOUBLINGS_MAX)
        )
        self._failures += 1
        pause = (failure.retry_after_seconds or 0.0) + widest * (1 + self._lot()) / 2
        if pause >= self._left():
            raise failure
        return pause

    def _left(self) -> float:
        return self._ends_at - self._clock()
