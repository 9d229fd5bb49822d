"""Rate limits: one token bucket per caller, and one per tenant for all of its callers.

* A caller is an agent, with any of its keys and over any transport, or a key of an auditor or
  of a mail server. A rejected request takes no token, and its response says how long to wait.
* A tenant key acts for all agents of its tenant, and an admin key for all tenants. Both count only
  against the bucket of the tenant.
* Each operation leaves a reserve in the bucket for more urgent ones. An urgent operation, which
  keeps or frees a lease, leaves none. A command leaves a quarter, so that acquisitions never
  delay a heartbeat. A read or long poll leaves half.
* The bytes that reads return are limited separately: ``application/read_budget.py``.
* The response to an accepted request says how many more of its kind are accepted at once.
* A tenant may have rates of its own, which an operator sets. They replace those of the service.
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
from quorate.domain.identity.tenants import TenantLimits
from quorate.domain.shared.records import changed, record

COMMAND_RESERVE = 0.25
READ_RESERVE = 0.5
_OWN_RATES = ("rate_per_key", "burst_per_key", "rate_per_tenant", "burst_per_tenant")
INDIVIDUALLY_LIMITED_ROLES: frozenset[Role] = frozenset({"agent", "auditor", "mail"})

# Headers of the response that say how many more requests are accepted.
Allowance: TypeAlias = tuple[tuple[bytes, bytes], ...]
# Arguments: tenant, caller, reserve. Raises Problem above the limit.
Limit: TypeAlias = Callable[[str, str | None, float], Allowance]
Buckets: TypeAlias = tuple[TokenBuckets | None, TokenBuckets | None]  # Of callers, of tenants.


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


def allow_all(_tenant: str, _caller: str | None, _reserve: float) -> Allowance:
    """Accept every request."""
    return ()


class RateLimiter:
    def __init__(self, rates: Rates, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._monotonic = monotonic
        self._buckets = self._make_buckets(rates)
        self._own: dict[str, tuple[Rates, Buckets]] = {}  # Of tenants with rates of their own.

    @property
    def tenants_with_limits(self) -> frozenset[str]:
        return frozenset(self._own)

    def set_limits(self, tenant: str, limits: TenantLimits) -> None:
        """Give a tenant rates of its own; full buckets, unless the rates are the same as before."""
        own = {name: rate for name in _OWN_RATES if (rate := getattr(limits, name)) is not None}
        if not own:
            self._own.pop(tenant, None)
            return
        rates = changed(self._rates, **{name.removeprefix("rate_"): own[name] for name in own})
        before = self._own.get(tenant)
        if before is None or before[0] != rates:
            self._own[tenant] = (rates, self._make_buckets(rates))

    def check(self, tenant: str, caller: str | None, reserve: float) -> Allowance:
        """Count one request; raise Problem above the limit."""
        found = self._own.get(tenant) if self._own else None
        callers, shared = self._buckets if found is None else found[1]
        own, name = callers if caller is not None else None, caller or ""
        if own is not None and (wait := own.wait(name, reserve)):
            raise rate_limit_problem("key", wait, own.burst)
        if shared is not None and (wait := shared.wait(tenant, reserve)):
            raise rate_limit_problem("tenant", wait, shared.burst)
        until_full = shared.take(tenant) if shared is not None else 0.0
        if own is None:
            return _allowance(shared, until_full, reserve) if shared is not None else ()
        own_until_full = own.take(name)
        if shared is not None and shared.tokens_left(until_full, reserve) < own.tokens_left(
            own_until_full, reserve
        ):
            return _allowance(shared, until_full, reserve)
        return _allowance(own, own_until_full, reserve)

    def _make_buckets(self, rates: Rates) -> Buckets:
        return (
            make_buckets(rates.per_key, rates.burst_per_key, self._monotonic),
            make_buckets(rates.per_tenant, rates.burst_per_tenant, self._monotonic),
        )


def _allowance(buckets: TokenBuckets, until_full: float, reserve: float) -> Allowance:
    left = int(buckets.tokens_left(until_full, reserve))
    return (
        (b"ratelimit-limit", b"%d" % buckets.burst),
        (b"ratelimit-remaining", b"%d" % left if left > 0 else b"0"),
        (b"ratelimit-reset", b"%d" % math.ceil(until_full)),
    )


def make_buckets(
    rate: float, burst: float, monotonic: Callable[[], float] = time.monotonic
) -> TokenBuckets | None:
    return TokenBuckets(rate, burst, monotonic=monotonic) if rate else None


_DETAILS = {
    "key": "This agent or key sends too many requests.",
    "tenant": "The callers of this tenant together send too many requests.",
    "address": "Too many failed authentication attempts from this address.",
}


def rate_limit_problem(limited_by: str, wait_seconds: float, burst: float | None = None) -> Problem:
    """Return the problem; its headers have whole seconds, its field the exact time.

    ``burst`` is that of a limit in requests; other limits have no ``RateLimit-*`` headers.
    """
    whole = max(1, math.ceil(wait_seconds))
    details = {"limitedBy": limited_by, "retryAfterSeconds": round(wait_seconds, 6)}
    headers = {"Retry-After": str(whole)}
    if burst is not None:
        headers |= {
            "RateLimit-Limit": str(int(burst)),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(whole),
        }
    return Problem("rate_limited", _DETAILS[limited_by], headers=headers, **details)
