"""Bounds on reading: what one caller reads must not slow down the commands of others.

* At most READS_AT_ONCE_MAX pages are read at a time. Tenants that wait take turns, so a tenant with
  many readers delays the others by a page at most. A page is read in parts, and commands run in
  between.
* The bytes of each response count against the caller and its tenant. A caller that has read more
  than its rate permits is rejected until the rate has caught up; a stream pauses instead. That is
  checked before and after a reader waits for its turn, so many readers at once read no more.
* A tenant has at most WAITING_PER_TENANT_MAX readers that wait.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from quorate.application.rate_limiter import (
    UNBOUNDED,
    Rates,
    caller_of,
    make_buckets,
    rate_limit_problem,
)
from quorate.domain.identity.principals import Principal

T = TypeVar("T")
R = TypeVar("R")

PART_MAX = 50
READS_AT_ONCE_MAX = 2
WAITING_PER_TENANT_MAX = 1_000
WAITING_RETRY_SECONDS = 1.0
BURST_SECONDS = 4.0  # A caller that was silent may read this many seconds of its rate at once.


async def in_parts(items: Sequence[T], make: Callable[[T], R]) -> AsyncIterator[R]:
    """Yield what ``make`` returns for each item; the event loop runs other work in between."""
    for number, item in enumerate(items, start=1):
        yield make(item)
        if number % PART_MAX == 0:
            await asyncio.sleep(0)


class ReadTurns:
    """Admits ``at_once_max`` holders at a time; those that wait are admitted tenant by tenant."""

    def __init__(self, at_once_max: int = READS_AT_ONCE_MAX) -> None:
        self._free = at_once_max
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # The next tenant is first.

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it; raise Problem when too many readers wait."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(tenant)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, tenant: str) -> None:
        queue = self._waiting.setdefault(tenant, deque())
        if len(queue) >= WAITING_PER_TENANT_MAX:
            raise rate_limit_problem("tenant", WAITING_RETRY_SECONDS)
        admitted = asyncio.get_running_loop().create_future()
        queue.append(admitted)
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self._pass_on()  # The turn was given in the moment of the cancellation.
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            tenant, queue = next(iter(self._waiting.items()))
            del self._waiting[tenant]
            admitted = queue.popleft()
            if queue:
                self._waiting[tenant] = queue  # Behind the other tenants.
            if not admitted.done():
                admitted.set_result(None)
                return
        self._free += 1


class ReadBudget:
    """The turns of readers, and the bytes that each caller and each tenant may still read."""

    def __init__(
        self, rates: Rates = UNBOUNDED, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        per_key, per_tenant = rates.read_bytes_per_key, rates.read_bytes_per_tenant
        self._callers = make_buckets(per_key, per_key * BURST_SECONDS, monotonic)
        self._tenants = make_buckets(per_tenant, per_tenant * BURST_SECONDS, monotonic)
        self._turns = ReadTurns()

    @asynccontextmanager
    async def turn(self, principal: Principal) -> AsyncIterator[None]:
        """Hold a turn while one page is read; raise Problem when the caller has read too much."""
        self._check(principal)
        async with self._turns.turn(principal.tenant):
            self._check(principal)  # Others of the same caller were charged meanwhile.
            yield

    @asynccontextmanager
    async def turn_of_stream(self, principal: Principal) -> AsyncIterator[None]:
        """Hold a turn as ``turn`` does, but wait until the caller may read again."""
        while True:
            await self._pause(principal)
            async with self._turns.turn(principal.tenant):
                if not self._wait(principal)[1]:
                    yield
                    return

    def _check(self, principal: Principal) -> None:
        limited_by, wait = self._wait(principal)
        if wait:
            raise rate_limit_problem(limited_by, wait)

    async def count_of_stream(self, principal: Principal, size: int) -> None:
        """Count bytes that a stream sent, and wait until the caller may read again."""
        self.charge(principal, size)
        await self._pause(principal)

    async def _pause(self, principal: Principal) -> None:
        if wait := self._wait(principal)[1]:
            await asyncio.sleep(wait)

    def charge(self, principal: Principal, size: int) -> None:
        """Count the bytes of a response that was read."""
        caller = caller_of(principal)
        if self._callers is not None and caller is not None:
            self._callers.take(caller, size)
        if self._tenants is not None:
            self._tenants.take(principal.tenant, size)

    def _wait(self, principal: Principal) -> tuple[str, float]:
        """Return which limit is reached, and the seconds until the caller may read again."""
        caller = caller_of(principal)
        if (
            self._callers is not None
            and caller is not None
            and (wait := self._callers.wait(caller))
        ):
            return "key", wait
        return "tenant", 0.0 if self._tenants is None else self._tenants.wait(principal.tenant)
