"""One that asks too often waits, and neither its own heartbeats nor anybody else's requests do."""

import math

import pytest

from quorate.api.routes import ENDPOINTS
from quorate.application.operations import Endpoint
from quorate.application.rate_limiter import (
    KEPT_BY_COMMANDS,
    KEPT_BY_READS,
    Limits,
    Rates,
    caller_of,
    kept_by,
)
from quorate.contracts.problems import Problem
from quorate.domain.identity.api_keys import ROLES, Principal, Role
from tests.e2e.client.clocks import SetClock

URGENT = {"heartbeat", "releaseLease", "renewLease"}
TENANT, OTHER = "acme", "globex"
RATE, BURST = 10.0, 20.0


def passed_of(
    many: int, limits: Limits, caller: str | None, kept: float = 0.0, of: str = TENANT
) -> int:
    passed = 0
    for _ in range(many):
        try:
            limits.check(of, caller, kept)
        except Problem:
            continue
        passed += 1
    return passed


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_only_what_keeps_or_frees_leases_may_use_all_of_a_bucket(endpoint: Endpoint) -> None:
    assert (kept_by(endpoint) == 0.0) == (endpoint.name in URGENT)


def test_a_caller_that_acquires_all_it_can_still_has_its_heartbeats() -> None:
    limits = Limits(Rates(per_key=RATE, burst_per_key=BURST), SetClock())

    assert passed_of(100, limits, "ann", KEPT_BY_READS) == BURST * (1 - KEPT_BY_READS)
    assert passed_of(100, limits, "ann", KEPT_BY_COMMANDS) == BURST * (
        KEPT_BY_READS - KEPT_BY_COMMANDS
    )
    assert passed_of(100, limits, "ann") == BURST * KEPT_BY_COMMANDS
    assert passed_of(100, limits, "bob") == BURST


def test_the_callers_of_one_tenant_share_its_bucket_and_no_other() -> None:
    limits = Limits(Rates(per_tenant=RATE, burst_per_tenant=BURST), SetClock())

    assert passed_of(15, limits, "ann") + passed_of(15, limits, "bob") == BURST
    assert passed_of(100, limits, "cat", of=OTHER) == BURST


def test_what_the_tenant_is_refused_costs_the_caller_nothing() -> None:
    clock = SetClock()
    rates = Rates(per_key=RATE, burst_per_key=BURST, per_tenant=RATE, burst_per_tenant=BURST)
    limits = Limits(rates, clock)
    passed_of(100, limits, "ann")
    assert passed_of(100, limits, "bob") == 0

    clock.pass_(BURST / RATE)

    assert passed_of(100, limits, "bob") == BURST


def test_the_answer_says_whose_limit_it_is_and_how_long_to_wait() -> None:
    clock = SetClock()
    limits = Limits(Rates(per_key=0.5, burst_per_key=1), clock)
    limits.check(TENANT, "ann", 0.0)

    with pytest.raises(Problem) as refused:
        limits.check(TENANT, "ann", 0.0)

    problem = refused.value
    assert (problem.status, problem.code) == (429, "rate_limited")
    assert problem.facts == {"limitedBy": "key", "retryAfterSeconds": pytest.approx(2.0)}
    assert problem.headers == {"Retry-After": str(math.ceil(2.0))}

    clock.pass_(2.0)
    limits.check(TENANT, "ann", 0.0)


def test_without_rates_nobody_is_bounded() -> None:
    assert passed_of(10_000, Limits(Rates(), SetClock()), "ann", KEPT_BY_READS) == 10_000


@pytest.mark.parametrize("role", ROLES)
def test_who_speaks_for_all_agents_is_bounded_as_the_tenant_is(role: Role) -> None:
    principal = Principal(key_id="key", role=role, tenant=TENANT, agent_id=None, agent_name=None)
    rates = Rates(per_key=1.0, burst_per_key=1.0, per_tenant=RATE, burst_per_tenant=BURST)

    passed = passed_of(100, Limits(rates, SetClock()), caller_of(principal))

    assert passed == (1 if role in {"agent", "auditor"} else BURST)
