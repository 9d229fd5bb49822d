"""By the agent's clock a lease is valid for a shorter time than the service grants it."""

from contextlib import nullcontext

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.output.errors import CONFLICT, Failure, report_errors
from quorate.client import AgentRef, AsyncClient, Client, LeaseInfo, LeaseLostError, requests
from quorate.client.lease_validity import (
    DRIFT_SECONDS,
    DRIFT_SHARE,
    AgentLiveness,
    LeaseValidity,
    valid_until,
)
from quorate.client.request_builder import Request
from quorate.domain.identity.agents import HEARTBEATS_PER_WINDOW_MAX
from tests.e2e.client.clocks import SetClock

WINDOW = 300.0
HOUR = 3_600.0


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def liveness(clock: SetClock) -> AgentLiveness:
    liveness = AgentLiveness(clock)
    liveness.confirm(clock(), WINDOW)
    return liveness


def granted_lease(liveness: AgentLiveness, clock: SetClock, seconds: float = 30.0) -> LeaseValidity:
    validity = LeaseValidity(liveness, clock, liveness.epoch)
    validity.extend(clock(), seconds)
    return validity


def test_validity_counts_from_the_request_not_from_the_response(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = LeaseValidity(liveness, clock, liveness.epoch)
    sent_at = clock()
    clock.advance(20.0)  # The answer delay its time.
    validity.extend(sent_at, 30.0)

    assert validity.until == pytest.approx(sent_at + 30.0 - 0.3 - 0.05)
    assert validity.remaining_seconds == pytest.approx(9.65)


def test_lease_is_held_before_its_deadline_and_not_at_it(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted_lease(liveness, clock)

    clock.now = validity.until - 0.001
    before = validity.is_held
    clock.now = validity.until
    assert (before, validity.is_held) == (True, False)
    assert validity.loss_reason == "unreachable"
    assert validity.remaining_seconds == 0


def test_renewal_extends_and_never_shortens(liveness: AgentLiveness, clock: SetClock) -> None:
    validity = granted_lease(liveness, clock)
    clock.advance(10.0)
    validity.extend(clock(), 30.0)
    longer = validity.until
    validity.extend(clock(), 1.0)

    assert longer == valid_until(clock(), 30.0)
    assert validity.until == longer


def test_late_renewal_does_not_revive_a_lost_lease(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted_lease(liveness, clock)
    clock.advance(29.0)
    sent_at = clock()
    clock.advance(1.0)
    validity.extend(sent_at, 30.0)

    assert not validity.is_held
    assert validity.loss_reason == "unreachable"


def test_late_grant_is_not_trusted(liveness: AgentLiveness, clock: SetClock) -> None:
    validity = LeaseValidity(liveness, clock, liveness.epoch)
    sent_at = clock()
    clock.advance(31.0)
    validity.extend(sent_at, 30.0)

    assert not validity.is_held


def test_lease_ends_no_later_than_the_liveness_of_its_agent(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted_lease(liveness, clock, HOUR)
    clock.now = liveness.until

    assert validity.until == liveness.until
    assert not validity.is_held
    assert validity.loss_reason == "agent_inactive"


def test_lease_stays_lost_when_a_heartbeat_is_confirmed_after_a_suspend(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted_lease(liveness, clock, HOUR)
    clock.advance(WINDOW + 1)
    liveness.confirm(clock(), WINDOW)

    assert liveness.is_active
    assert not validity.is_held
    assert validity.loss_reason == "agent_inactive"


def test_lease_of_the_new_epoch_is_held(liveness: AgentLiveness, clock: SetClock) -> None:
    clock.advance(WINDOW + 1)
    liveness.confirm(clock(), WINDOW)

    assert granted_lease(liveness, clock).is_held


def test_lease_that_was_requested_in_an_earlier_epoch_is_lost(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    sent_at, epoch = clock(), liveness.epoch
    clock.advance(WINDOW + 1)  # Suspended while the response was in flight.
    liveness.confirm(clock(), WINDOW)
    validity = LeaseValidity(liveness, clock, epoch)
    validity.extend(sent_at, HOUR)

    assert not validity.is_held


def test_lease_is_lost_when_the_agent_is_marked_inactive(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted_lease(liveness, clock)
    liveness.mark_inactive()
    liveness.confirm(clock(), WINDOW)

    assert liveness.is_active
    assert not validity.is_held


def test_first_loss_reason_is_kept(liveness: AgentLiveness, clock: SetClock) -> None:
    validity = granted_lease(liveness, clock)
    validity.mark_lost("revoked")
    validity.mark_lost("released")
    clock.advance(HOUR)

    assert not validity.is_held
    assert validity.loss_reason == "revoked"


def test_combined_heartbeats_extend_the_liveness_only_from_the_first(
    clock: SetClock,
) -> None:
    """The service recorded the first of two heartbeats and responds to both with it."""
    liveness = AgentLiveness(clock)
    first_sent_at = clock()
    liveness.confirm(clock(), WINDOW)
    clock.advance(WINDOW / HEARTBEATS_PER_WINDOW_MAX - 0.001)
    liveness.confirm(clock(), WINDOW)

    assert liveness.until <= valid_until(first_sent_at, WINDOW)


def test_late_response_to_an_older_heartbeat_has_no_effect(clock: SetClock) -> None:
    liveness = AgentLiveness(clock)
    first_sent_at = clock()
    clock.advance(10.0)
    liveness.confirm(clock(), WINDOW)
    until = liveness.until
    liveness.confirm(first_sent_at, WINDOW)

    assert liveness.until == until


def test_shorter_window_applies_at_once(clock: SetClock) -> None:
    liveness = AgentLiveness(clock)
    liveness.confirm(clock(), WINDOW)
    liveness.confirm(clock(), 10.0)

    assert liveness.until < clock() + 10.0


@given(
    sent_at=st.floats(0, 1e6),
    delay=st.floats(0, 100),
    seconds=st.floats(1, 86_400),
    clock_lag=st.floats(0, DRIFT_SHARE * 0.9),
)
def test_validity_ends_before_the_grant_with_any_clock_within_the_drift(
    sent_at: float, delay: float, seconds: float, clock_lag: float
) -> None:
    """The service decides ``delay`` after the request; the local clock is slow by ``clock_lag``."""
    service_ends_after = delay + seconds
    agent_stops_after = (valid_until(sent_at, seconds) - sent_at) / (1 - clock_lag)

    assert agent_stops_after <= service_ends_after - DRIFT_SECONDS / 2


# -- Single requests ---------------------------------------------------------------

LEASE = {
    "id": "lease-1",
    "tenantId": "tenant-1",
    "agentId": "agent_1",
    "contactEmail": "user@example.com",
    "intent": "general",
    "expiresAt": "2026-03-01T12:01:00.000Z",
    "createdAt": "2026-03-01T12:00:00.000Z",
    "fence": 7,
    "status": "active",
}
GRANTING: list[Request[LeaseInfo]] = [
    requests.acquire_lease(AgentRef(), "user@example.com", duration_minutes=1),
    requests.renew_lease("lease-1", duration_minutes=1),
]


@pytest.mark.parametrize("request_", GRANTING, ids=lambda request: request.name)
@pytest.mark.parametrize("attempts", [1, 2])
async def test_lease_whose_response_arrives_after_its_end_is_lost(
    request_: Request[LeaseInfo], attempts: int, clock: SetClock
) -> None:
    """The time counts from the first attempt, because that one may have been carried out."""
    remaining, seconds = 0, 0.0

    def respond(_: httpx2.Request) -> httpx2.Response:
        nonlocal remaining
        clock.advance(seconds / attempts)
        remaining -= 1
        if remaining:
            raise httpx2.ReadError("lost")
        return httpx2.Response(200, json=LEASE)

    async def respond_async(request: httpx2.Request) -> httpx2.Response:
        return respond(request)

    async def pause(_: float) -> None:
        pass

    client = Client(
        "http://service",
        "key",
        transport=httpx2.MockTransport(respond),
        clock=clock,
        sleep=lambda _: None,
    )
    async_client = AsyncClient(
        "http://service",
        "key",
        transport=httpx2.MockTransport(respond_async),
        clock=clock,
        sleep=pause,
    )
    with client:
        for total_seconds, is_valid in ((59.3, True), (59.4, False)):
            remaining, seconds = attempts, total_seconds
            with nullcontext() if is_valid else pytest.raises(LeaseLostError) as lost:
                client.execute(request_, timeout_seconds=600)
            remaining = attempts
            with nullcontext() if is_valid else pytest.raises(LeaseLostError):
                await async_client.execute(request_, timeout_seconds=600)
    await async_client.close()
    assert lost is not None
    assert (lost.value.reason, lost.value.fence) == ("unreachable", 7)


def test_command_line_reports_a_late_lease_as_a_conflict() -> None:
    with pytest.raises(Failure) as failure, report_errors():
        raise LeaseLostError("unreachable", "lease-1", "user@example.com", 7)

    assert failure.value.exit_code == CONFLICT
    assert "user@example.com is lost" in failure.value.message
