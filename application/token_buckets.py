"""Token buckets, one per name: a burst limit and a long-term rate.

* A bucket holds up to ``burst`` tokens and gains ``rate`` tokens per second. Each accepted request
  takes one. In any t seconds, at most ``burst + rate * t`` requests are accepted.
* A request with a reserve is accepted only while the bucket holds more than the reserve. Requests
  without one can always use the reserved tokens.
* A rejected request takes no token: frequent retries do not extend the wait.
* Only full buckets are discarded. A full bucket equals a new one, so discarding changes no limit.
* The table has room for ``names_max`` buckets. While all are in use, a new name is not limited, so
  that a flood of names never rejects other callers.
"""

import time
from collections.abc import Callable

NAMES_MAX = 100_000
DISCARDED_AT_ONCE_MAX = 2  # Per new bucket: the table shrinks when fewer names are in use.
TOKENS_MIN = 1.0
TOLERANCE_TOKENS = 1e-4  # Absorbs rounding errors of floating-point times.


class TokenBuckets:
    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        names_max: int = NAMES_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = max(burst, TOKENS_MIN)
        self._names_max = names_max
        self._monotonic = monotonic
        # The time at which each bucket is full again; least recently used first.
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, name: str, reserve: float = 0.0) -> float:
        """Return the seconds until a request of this name is accepted; 0 means now.

        ``reserve`` is the share of a full bucket that must stay in it.
        """
        full_at = self._full_at.get(name)
        if full_at is None:
            return 0.0
        missing = (full_at - self._monotonic()) * self._rate
        kept = min(self._burst * reserve, self._burst - TOKENS_MIN)
        lack = kept + TOKENS_MIN - (self._burst - max(0.0, missing))
        return lack / self._rate if lack > TOLERANCE_TOKENS else 0.0

    def take(self, name: str, tokens: float = 1.0) -> None:
        """Take the tokens of an accepted request; more than the bucket holds leave a debt."""
        now = self._monotonic()
        full_at = self._full_at.pop(name, None)
        if full_at is None:
            self._discard_full(now)
            if len(self._full_at) >= self._names_max:
                return
            full_at = now
        self._full_at[name] = max(full_at, now) + tokens / self._rate

    def _discard_full(self, now: float) -> None:
        for _ in range(DISCARDED_AT_ONCE_MAX):
            oldest = next(iter(self._full_at), None)
            if oldest is None or self._full_at[oldest] > now:
                return
            del self._full_at[oldest]
