"""What operators decided about tenants, in the memory of each process: suspensions and limits.

* The events of the log are the source, also those of other processes. They take effect as soon as
  this process learns of the commit.
* Everything is loaded at the start and again every RELOAD_SECONDS, so a missed event is harmless.
* ``check`` is called for every request of every transport, before its rate limit is counted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from quorate.application.rate_limiter import Allowance, RateLimiter
from quorate.contracts.problems import Problem
from quorate.domain.identity.tenants import (
    Tenant,
    TenantIsSuspended,
    TenantLimits,
    TenantLimitsSet,
    TenantResumed,
    TenantSuspended,
    limits_of,
)
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import decode
from quorate.eventlog.transactions import DatabaseUnavailable

RELOAD_SECONDS = 10.0
_TYPES = frozenset(one.__name__ for one in (TenantSuspended, TenantResumed, TenantLimitsSet))
_DETAIL = "An operator suspended this tenant. Its keys are rejected until it is resumed."


class TenantAccess:
    def __init__(self, rate_limiter: RateLimiter) -> None:
        self._rate_limiter = rate_limiter
        self._suspended: frozenset[str] = frozenset()
        self._changes = 0

    def check(self, tenant: str, caller: str | None, reserve: float) -> Allowance:
        """Count one request; raise Problem for a suspended tenant, or above a rate limit."""
        if tenant in self._suspended:
            raise suspended_problem()
        return self._rate_limiter.check(tenant, caller, reserve)

    def require_active(self, tenant: str) -> None:
        """Raise Problem if the tenant is suspended."""
        if tenant in self._suspended:
            raise suspended_problem()

    def record(self, rows: Sequence[RecordedEvent]) -> None:
        """Apply committed events."""
        for row in rows:
            if row.type not in _TYPES:
                continue
            self._changes += 1
            match decode(row.type, row.version, row.data):
                case TenantSuspended():
                    self._suspended |= {row.tenant}
                case TenantResumed():
                    self._suspended -= {row.tenant}
                case TenantLimitsSet() as event:
                    self._rate_limiter.set_limits(row.tenant, limits_of(event))

    async def load(self, find_restricted: Callable[[], Awaitable[Sequence[Tenant]]]) -> None:
        """Replace everything by what is stored, unless events arrived meanwhile."""
        changes = self._changes
        found = await find_restricted()
        if changes != self._changes:
            return
        self._suspended = frozenset(one.id for one in found if one.suspended_at is not None)
        limits: dict[str, TenantLimits] = {one.id: one.limits for one in found}
        for tenant in self._rate_limiter.tenants_with_limits - limits.keys():
            self._rate_limiter.set_limits(tenant, TenantLimits())
        for tenant, own in limits.items():
            self._rate_limiter.set_limits(tenant, own)

    async def keep_fresh(
        self, find_restricted: Callable[[], Awaitable[Sequence[Tenant]]]
    ) -> NoReturn:
        """Load again and again until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            with suppress(DatabaseUnavailable):
                await self.load(find_restricted)


def suspended_problem() -> Problem:
    return Problem(TenantIsSuspended.code, _DETAIL)
