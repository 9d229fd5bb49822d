"""Start few requests in each round of the event loop; the tenants take turns.

A tenant may have thousands of connections, each with a request that is ready. Started at once, they
occupy one round of the event loop for seconds, and every other request waits for its end.

* A round starts at most STARTS_PER_ROUND requests. Others wait, the oldest of a tenant first.
* Tenants take turns, so a request waits for at most one request of each other tenant.
* The requests of a connection that sent no valid key yet take the turns of its address.
* Without a flood, a request starts at once. A started request is not counted further: streams and
  long polls occupy no turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

STARTS_PER_ROUND = 16

Start: TypeAlias = Callable[[], None]


class RequestTurns:
    """The requests of one process that are ready."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Start]] = {}  # The next owner is first.
        self._left = STARTS_PER_ROUND
        self._is_scheduled = False

    def start(self, owner: str, start: Start, loop: asyncio.AbstractEventLoop) -> None:
        """Call ``start`` now, or in a later round."""
        if self._left:
            self._left -= 1
            start()
        else:
            self._waiting.setdefault(owner, deque()).append(start)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._begin_round, loop)

    def _begin_round(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = STARTS_PER_ROUND
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            loop.call_soon(self._begin_round, loop)
        while self._waiting and self._left:
            self._left -= 1
            owner, waiting = next(iter(self._waiting.items()))
            del self._waiting[owner]
            start = waiting.popleft()
            if waiting:
                self._waiting[owner] = waiting  # Behind the other owners.
            start()
