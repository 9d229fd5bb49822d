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
from tests.e2e.client.clocks import SetClock

URGENT = {"heartbeat", "releaseLease", "renewLease"}
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
    assert problem.headers == {"Retry-After": str(math.ceil(2.0))}

    clock.advance(2.0)
    limiter.check(TENANT, "ann", 0.0)


def test_limiter_accepts_everything_without_rates() -> None:
    assert count_accepted(10_000, RateLimiter(Rates(), SetClock()), "ann", READ_RESERVE) == 10_000


@pytest.mark.parametrize("role", ROLES)
def test_caller_of_separates_only_agents_and_auditors(role: Role) -> None:
    principal = Principal(key_id="key", role=role, tenant=TENANT, agent_id=None, agent_name=None)
    rates = Rates(per_key=1.0, burst_per_key=1.0, per_tenant=RATE, burst_per_tenant=BURST)

    accepted = count_accepted(100, RateLimiter(rates, SetClock()), caller_of(principal))

    assert accepted == (1 if role in {"agent", "auditor"} else BURST)
