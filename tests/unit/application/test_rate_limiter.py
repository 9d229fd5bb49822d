"""A caller above its limit waits; its own heartbeats and other callers do not."""

import math

import pytest

from quorate.api.routes import ENDPOINTS
from quorate.application.rate_limiter import (
    COMMAND_RESERVE,
    READ_RESERVE,
    RateLimiter,
    Rates,
    caller_of,
    reserve_for,
)
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import ROLES, Principal, Role
from quorate.domain.identity.tenants import TenantLimits
from tests.e2e.client.clocks import SetClock

URGENT = {"heartbeat", "releaseLease", "renewLease", "renewTask"}
TENANT, OTHER = "acme", "globex"
RATE, BURST = 10.0, 20.0


def count_accepted(
    attempts: int,
    limiter: RateLimiter,
    caller: str | None,
    reserve: float = 0.0,
    tenant: str = TENANT,
) -> int:
    accepted = 0
    for _ in range(attempts):
        try:
            limiter.check(tenant, caller, reserve)
        except Problem:
            continue
        accepted += 1
    return accepted


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_reserve_is_zero_only_for_urgent_operations(endpoint: AnyOperation) -> None:
    assert (reserve_for(endpoint) == 0.0) == (endpoint.name in URGENT)


def test_limiter_reserves_tokens_for_heartbeats() -> None:
    limiter = RateLimiter(Rates(per_key=RATE, burst_per_key=BURST), SetClock())

    assert count_accepted(100, limiter, "ann", READ_RESERVE) == BURST * (1 - READ_RESERVE)
    assert count_accepted(100, limiter, "ann", COMMAND_RESERVE) == BURST * (
        READ_RESERVE - COMMAND_RESERVE
    )
    assert count_accepted(100, limiter, "ann") == BURST * COMMAND_RESERVE
    assert count_accepted(100, limiter, "bob") == BURST


def test_limiter_shares_one_bucket_among_the_callers_of_a_tenant() -> None:
    limiter = RateLimiter(Rates(per_tenant=RATE, burst_per_tenant=BURST), SetClock())

    assert count_accepted(15, limiter, "ann") + count_accepted(15, limiter, "bob") == BURST
    assert count_accepted(100, limiter, "cat", tenant=OTHER) == BURST


def test_limiter_takes_no_token_of_the_caller_when_the_tenant_limit_rejects() -> None:
    clock = SetClock()
    rates = Rates(per_key=RATE, burst_per_key=BURST, per_tenant=RATE, burst_per_tenant=BURST)
    limiter = RateLimiter(rates, clock)
    count_accepted(100, limiter, "ann")
    assert count_accepted(100, limiter, "bob") == 0

    clock.advance(BURST / RATE)

    assert count_accepted(100, limiter, "bob") == BURST


def test_problem_names_the_limit_and_the_wait() -> None:
    clock = SetClock()
    limiter = RateLimiter(Rates(per_key=0.5, burst_per_key=1), clock)
    limiter.check(TENANT, "ann", 0.0)

    with pytest.raises(Problem) as rejected:
        limiter.check(TENANT, "ann", 0.0)

    problem = rejected.value
    assert (problem.status, problem.code) == (429, "rate_limited")
    assert problem.details == {"limitedBy": "key", "retryAfterSeconds": pytest.approx(2.0)}
    assert problem.headers == {
        "Retry-After": str(math.ceil(2.0)),
        "RateLimit-Limit": "1",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "2",
    }

    clock.advance(2.0)
    limiter.check(TENANT, "ann", 0.0)


def test_limiter_accepts_everything_without_rates() -> None:
    assert count_accepted(10_000, RateLimiter(Rates(), SetClock()), "ann", READ_RESERVE) == 10_000


@pytest.mark.parametrize("role", ROLES)
def test_caller_of_separates_agents_auditors_and_mail_servers(role: Role) -> None:
    principal = Principal(key_id="key", role=role, tenant=TENANT, agent_id=None, agent_name=None)
    rates = Rates(per_key=1.0, burst_per_key=1.0, per_tenant=RATE, burst_per_tenant=BURST)

    accepted = count_accepted(100, RateLimiter(rates, SetClock()), caller_of(principal))

    assert accepted == (1 if role in {"agent", "auditor", "mail"} else BURST)


# -- How much is left ---------------------------------------------------------


def test_accepted_request_says_how_many_more_are_accepted() -> None:
    limiter = RateLimiter(Rates(per_key=2, burst_per_key=8), SetClock())

    assert dict(limiter.check(TENANT, "ann", 0.0)) == {
        b"ratelimit-limit": b"8",
        b"ratelimit-remaining": b"7",
        b"ratelimit-reset": b"1",
    }


def test_remaining_requests_are_those_above_the_reserve() -> None:
    limiter = RateLimiter(Rates(per_key=2, burst_per_key=8), SetClock())
    remaining = [dict(limiter.check(TENANT, "ann", 0.5))[b"ratelimit-remaining"] for _ in range(4)]

    assert remaining == [b"3", b"2", b"1", b"0"]
    with pytest.raises(Problem):
        limiter.check(TENANT, "ann", 0.5)


def test_scarcer_bucket_is_reported() -> None:
    rates = Rates(per_key=1, burst_per_key=100, per_tenant=1, burst_per_tenant=3)
    limiter = RateLimiter(rates, SetClock())

    assert dict(limiter.check(TENANT, "ann", 0.0))[b"ratelimit-limit"] == b"3"
    assert dict(limiter.check(TENANT, None, 0.0))[b"ratelimit-remaining"] == b"1"


def test_no_headers_without_limits() -> None:
    assert RateLimiter(Rates()).check(TENANT, "ann", 0.0) == ()


# -- Limits of one tenant -----------------------------------------------------


def accepted(limiter: RateLimiter, tenant: str) -> int:
    for count in range(100):
        try:
            limiter.check(tenant, "ann-of-" + tenant, 0.0)
        except Problem:
            return count
    return 100


def test_own_rates_of_a_tenant_replace_those_of_the_service() -> None:
    limiter = RateLimiter(Rates(per_key=1, burst_per_key=5), SetClock())
    limiter.set_limits(TENANT, TenantLimits(burst_per_key=2))
    limiter.set_limits("free", TenantLimits(rate_per_key=0))

    assert accepted(limiter, TENANT) == 2
    assert accepted(limiter, "free") == 100
    assert accepted(limiter, "other") == 5


def test_setting_the_same_rates_again_refills_nothing() -> None:
    limiter = RateLimiter(Rates(per_key=1, burst_per_key=5), SetClock())
    limiter.set_limits(TENANT, TenantLimits(burst_per_key=2))
    accepted(limiter, TENANT)
    limiter.set_limits(TENANT, TenantLimits(burst_per_key=2, agents=9))

    assert accepted(limiter, TENANT) == 0


def test_tenant_returns_to_the_rates_of_the_service() -> None:
    limiter = RateLimiter(Rates(per_key=1, burst_per_key=5), SetClock())
    limiter.set_limits(TENANT, TenantLimits(burst_per_key=2))
    limiter.set_limits(TENANT, TenantLimits())

    assert accepted(limiter, TENANT) == 5
    assert limiter.tenants_with_limits == frozenset()
