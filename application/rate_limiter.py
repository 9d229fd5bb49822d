"""Rate limits: one token bucket per caller, and one per tenant for all of its callers.

* A caller is an agent, with any of its keys and over any transport, or an auditor key. A rejected
  request takes no token, and its response says how long to wait.
* A tenant key acts for all agents of its tenant, and an admin key for all tenants. Both count only
  against the bucket of the tenant.
* Each operation leaves a reserve in the bucket for more urgent ones. An urgent operation, which
  keeps or frees a lease, leaves none. A command leaves a quarter, so that acquisitions never
  delay a heartbeat. A read or long poll leaves half.
* The bytes that reads return are limited separately: ``application/read_budget.py``.
* Each process counts separately. The limits protect callers of one process from each other;
  quotas bound what a tenant may have in total.
"""

import math
import time
from collections.abc import Callable
from typing import TypeAlias

from quorate.application.token_buckets import TokenBuckets
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal, Role
from quorate.domain.shared.records import record

COMMAND_RESERVE = 0.25
READ_RESERVE = 0.5
INDIVIDUALLY_LIMITED_ROLES: frozenset[Role] = frozenset({"agent", "auditor"})

# Arguments: tenant, caller, reserve. Raises Problem above the limit.
Limit: TypeAlias = Callable[[str, str | None, float], None]


@record
class Rates:
    """Requests or bytes per second, and bursts; a rate of 0 means no limit."""

    per_key: float = 0.0
    burst_per_key: float = 0.0
    per_tenant: float = 0.0
    burst_per_tenant: float = 0.0
    failed_keys_per_minute: float = 0.0
    read_bytes_per_key: float = 0.0
    read_bytes_per_tenant: float = 0.0


UNBOUNDED = Rates()


def reserve_for(operation: AnyOperation) -> float:
    """Return the share of a bucket that this operation leaves for more urgent ones."""
    if operation.urgent:
        return 0.0
    return READ_RESERVE if operation.method == "GET" else COMMAND_RESERVE


def caller_of(principal: Principal) -> str | None:
    """Return the name of the caller's own bucket, or None if only the tenant's bucket counts."""
    return principal.actor if principal.role in INDIVIDUALLY_LIMITED_ROLES else None


def allow_all(_tenant: str, _caller: str | None, _reserve: float) -> None:
    """Accept every request."""


class RateLimiter:
    def __init__(self, rates: Rates, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._callers = make_buckets(rates.per_key, rates.burst_per_key, monotonic)
        self._tenants = make_buckets(rates.per_tenant, rates.burst_per_tenant, monotonic)

    def check(self, tenant: str, caller: str | None, reserve: float) -> None:
        """Count one request; raise Problem above the limit."""
        own = self._callers if caller is not None else None
        shared, name = self._tenants, caller or ""
        if own is not None and (wait := own.wait(name, reserve)):
            raise rate_limit_problem("key", wait)
        if shared is not None:
            if wait := shared.wait(tenant, reserve):
                raise rate_limit_problem("tenant", wait)
            shared.take(tenant)
        if own is not None:
            own.take(name)


def make_buckets(
    rate: float, burst: float, monotonic: Callable[[], float] = time.monotonic
) -> TokenBuckets | None:
    return TokenBuckets(rate, burst, monotonic=monotonic) if rate else None


_DETAILS = {
    "key": "This agent or key sends too many requests.",
    "tenant": "The callers of this tenant together send too many requests.",
    "address": "Too many failed authentication attempts from this address.",
}


def rate_limit_problem(limited_by: str, wait_seconds: float) -> Problem:
    """Return the problem; its header has whole seconds, its field the exact time."""
    whole = max(1, math.ceil(wait_seconds))
    details = {"limitedBy": limited_by, "retryAfterSeconds": round(wait_seconds, 6)}
    headers = {"Retry-After": str(whole)}
    return Problem("rate_limited", _DETAILS[limited_by], headers=headers, **details)
