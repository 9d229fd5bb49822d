"""Logins that are refused for a while: of agents that flood, and of keys above their limits.

Each process counts separately. A login that another process accepts ends when its messages arrive.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

NAMES_MAX = 10_000


class Refusals:
    """Names (of keys or agents) whose logins are refused, each until a time."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until: OrderedDict[str, float] = OrderedDict()

    def refuse(self, name: str, seconds: float) -> None:
        self._until[name] = self._monotonic() + seconds
        self._until.move_to_end(name)
        while len(self._until) > NAMES_MAX:
            self._until.popitem(last=False)

    def seconds_left(self, name: str) -> float:
        """Return for how long logins of this name are refused; 0 means not at all."""
        until = self._until.get(name)
        if until is None:
            return 0.0
        left = until - self._monotonic()
        if left <= 0:
            del self._until[name]
        return max(0.0, left)
