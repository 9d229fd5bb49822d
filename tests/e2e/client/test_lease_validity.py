"""An agent believes in its lease for less long than the service keeps it, by its own clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.client.lease_validity import (
    DRIFT_SECONDS,
    DRIFT_SHARE,
    AgentLiveness,
    LeaseValidity,
    valid_until,
)
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


def granted(liveness: AgentLiveness, clock: SetClock, seconds: float = 30.0) -> LeaseValidity:
    validity = LeaseValidity(liveness, clock, liveness.epoch)
    validity.extend(clock(), seconds)
    return validity


def test_time_runs_from_when_it_was_asked_for_not_from_when_it_was_answered(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = LeaseValidity(liveness, clock, liveness.epoch)
    sent_at = clock()
    clock.pass_(20.0)  # The answer took its time.
    validity.extend(sent_at, 30.0)

    assert validity.until == pytest.approx(sent_at + 30.0 - 0.3 - 0.05)
    assert validity.remaining_seconds == pytest.approx(9.65)


def test_it_is_held_until_its_deadline_and_not_at_it(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted(liveness, clock)

    clock.now = validity.until - 0.001
    before = validity.is_held
    clock.now = validity.until
    assert (before, validity.is_held) == (True, False)
    assert validity.loss_reason == "unreachable"
    assert validity.remaining_seconds == 0


def test_a_renewal_extends_it_and_never_shortens(liveness: AgentLiveness, clock: SetClock) -> None:
    validity = granted(liveness, clock)
    clock.pass_(10.0)
    validity.extend(clock(), 30.0)
    longer = validity.until
    validity.extend(clock(), 1.0)

    assert longer == valid_until(clock(), 30.0)
    assert validity.until == longer


def test_a_renewal_that_is_answered_too_late_does_not_bring_it_back(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted(liveness, clock)
    clock.pass_(29.0)
    sent_at = clock()
    clock.pass_(1.0)
    validity.extend(sent_at, 30.0)

    assert not validity.is_held
    assert validity.loss_reason == "unreachable"


def test_an_answer_that_comes_after_all_was_over_grants_nothing(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = LeaseValidity(liveness, clock, liveness.epoch)
    sent_at = clock()
    clock.pass_(31.0)
    validity.extend(sent_at, 30.0)

    assert not validity.is_held


def test_it_ends_with_the_heartbeats_however_long_it_was_granted_for(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted(liveness, clock, HOUR)
    clock.now = liveness.until

    assert validity.until == liveness.until
    assert not validity.is_held
    assert validity.loss_reason == "agent_inactive"


def test_a_process_that_was_stopped_finds_it_lost_even_when_a_heartbeat_is_answered_first(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted(liveness, clock, HOUR)
    clock.pass_(WINDOW + 1)
    liveness.confirm(clock(), WINDOW)

    assert liveness.is_active
    assert not validity.is_held
    assert validity.loss_reason == "agent_inactive"


def test_a_lease_of_the_new_epoch_is_held(liveness: AgentLiveness, clock: SetClock) -> None:
    clock.pass_(WINDOW + 1)
    liveness.confirm(clock(), WINDOW)

    assert granted(liveness, clock).is_held


def test_a_lease_that_was_asked_for_in_an_earlier_epoch_is_lost_before_it_begins(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    sent_at, epoch = clock(), liveness.epoch
    clock.pass_(WINDOW + 1)  # Stopped while the answer was on its way.
    liveness.confirm(clock(), WINDOW)
    validity = LeaseValidity(liveness, clock, epoch)
    validity.extend(sent_at, HOUR)

    assert not validity.is_held


def test_an_agent_that_is_said_to_be_inactive_has_no_leases(
    liveness: AgentLiveness, clock: SetClock
) -> None:
    validity = granted(liveness, clock)
    liveness.mark_inactive()
    liveness.confirm(clock(), WINDOW)

    assert liveness.is_active
    assert not validity.is_held


def test_the_first_reason_stands(liveness: AgentLiveness, clock: SetClock) -> None:
    validity = granted(liveness, clock)
    validity.mark_lost("revoked")
    validity.mark_lost("released")
    clock.pass_(HOUR)

    assert not validity.is_held
    assert validity.loss_reason == "revoked"


def test_heartbeats_that_the_service_takes_for_one_extend_nothing_they_should_not(
    clock: SetClock,
) -> None:
    """The service heard the first of two heartbeats and answered both with it."""
    liveness = AgentLiveness(clock)
    first_heard_at = clock()
    liveness.confirm(clock(), WINDOW)
    clock.pass_(WINDOW / HEARTBEATS_PER_WINDOW_MAX - 0.001)
    liveness.confirm(clock(), WINDOW)

    assert liveness.until <= valid_until(first_heard_at, WINDOW)


def test_an_older_answer_that_comes_late_changes_nothing(clock: SetClock) -> None:
    liveness = AgentLiveness(clock)
    asked_first = clock()
    clock.pass_(10.0)
    liveness.confirm(clock(), WINDOW)
    until = liveness.until
    liveness.confirm(asked_first, WINDOW)

    assert liveness.until == until


def test_a_shorter_window_is_believed_at_once(clock: SetClock) -> None:
    liveness = AgentLiveness(clock)
    liveness.confirm(clock(), WINDOW)
    liveness.confirm(clock(), 10.0)

    assert liveness.until < clock() + 10.0


@given(
    sent_at=st.floats(0, 1e6),
    took=st.floats(0, 100),
    seconds=st.floats(1, 86_400),
    slower=st.floats(0, DRIFT_SHARE * 0.9),
)
def test_the_agent_stops_before_the_service_lets_anyone_in_however_slow_its_clock(
    sent_at: float, took: float, seconds: float, slower: float
) -> None:
    """The service decides ``took`` after the question; our clock runs up to ``slower`` too slow."""
    service_ends_after = took + seconds
    agent_stops_after = (valid_until(sent_at, seconds) - sent_at) / (1 - slower)

    assert agent_stops_after <= service_ends_after - DRIFT_SECONDS / 2
