"""Token buckets, one for each name: how much may come at once, and how much in the long run.

* A bucket holds up to ``burst`` tokens and gains ``rate`` of them a second; whatever passes takes
  one. So in any t seconds no more than ``burst + rate * t`` pass.
* Who must keep some of a bucket for others passes only while more than that is in it. The others
  find what was kept, however many of the first come.
* What was refused takes nothing: asking too often does not make the wait longer.
* A full bucket is as good as none, so only full ones are forgotten, and being forgotten gains
  nobody anything. There are ``names_max`` places. When all of them hold buckets in use, a name
  without one is not bounded: honest callers must not pay for a crowd.
"""

import time
from collections.abc import Callable

NAMES_MAX = 100_000
FORGOTTEN_AT_ONCE_MAX = 2  # For each new one: the table shrinks when fewer come.
TOKENS_MIN = 1.0
TOLERANCE_TOKENS = 1e-4  # Times are fractions: a token may be there but for a last digit.


class Buckets:
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
        # When each will be full again; the one that was taken from longest ago comes first.
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, name: str, kept_share: float = 0.0) -> float:
        """For how many seconds nothing more of this name passes; 0 if it does now.

        ``kept_share`` is what must stay in the bucket, as a share of a full one.
        """
        full_at = self._full_at.get(name)
        if full_at is None:
            return 0.0
        missing = (full_at - self._monotonic()) * self._rate
        kept = min(self._burst * kept_share, self._burst - TOKENS_MIN)
        lack = kept + TOKENS_MIN - (self._burst - max(0.0, missing))
        return lack / self._rate if lack > TOLERANCE_TOKENS else 0.0

    def take(self, name: str) -> None:
        """One passes."""
        now = self._monotonic()
        full_at = self._full_at.pop(name, None)
        if full_at is None:
            self._forget(now)
            if len(self._full_at) >= self._names_max:
                return
            full_at = now
        self._full_at[name] = max(full_at, now) + 1 / self._rate

    def _forget(self, now: float) -> None:
        for _ in range(FORGOTTEN_AT_ONCE_MAX):
            oldest = next(iter(self._full_at), None)
            if oldest is None or self._full_at[oldest] > now:
                return
            del self._full_at[oldest]
