"""An agent believes in its lease for less long than the service keeps it, by its own clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.client.lease_validity import (
    DRIFT_SECONDS,
    DRIFT_SHARE,
    AgentLiveness,
    LeaseValidity,
    believed_until,
)
from quorate.domain.identity.agents import HEARTBEATS_PER_WINDOW_MAX
from tests.e2e.client.clocks import SetClock

WINDOW = 300.0
HOUR = 3_600.0


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def standing(clock: SetClock) -> AgentLiveness:
    standing = AgentLiveness(clock)
    standing.confirmed(clock(), WINDOW)
    return standing


def granted(standing: AgentLiveness, clock: SetClock, seconds: float = 30.0) -> LeaseValidity:
    tenure = LeaseValidity(standing, clock, standing.epoch)
    tenure.granted(clock(), seconds)
    return tenure


def test_time_runs_from_when_it_was_asked_for_not_from_when_it_was_answered(
    standing: AgentLiveness, clock: SetClock
) -> None:
    tenure = LeaseValidity(standing, clock, standing.epoch)
    asked_at = clock()
    clock.pass_(20.0)  # The answer took its time.
    tenure.granted(asked_at, 30.0)

    assert tenure.until == pytest.approx(asked_at + 30.0 - 0.3 - 0.05)
    assert tenure.remaining_seconds == pytest.approx(9.65)


def test_it_is_held_until_its_deadline_and_not_at_it(
    standing: AgentLiveness, clock: SetClock
) -> None:
    tenure = granted(standing, clock)

    clock.now = tenure.until - 0.001
    before = tenure.held
    clock.now = tenure.until
    assert (before, tenure.held) == (True, False)
    assert tenure.lost == "unreachable"
    assert tenure.remaining_seconds == 0


def test_a_renewal_extends_it_and_never_shortens(standing: AgentLiveness, clock: SetClock) -> None:
    tenure = granted(standing, clock)
    clock.pass_(10.0)
    tenure.granted(clock(), 30.0)
    longer = tenure.until
    tenure.granted(clock(), 1.0)

    assert longer == believed_until(clock(), 30.0)
    assert tenure.until == longer


def test_a_renewal_that_is_answered_too_late_does_not_bring_it_back(
    standing: AgentLiveness, clock: SetClock
) -> None:
    tenure = granted(standing, clock)
    clock.pass_(29.0)
    asked_at = clock()
    clock.pass_(1.0)
    tenure.granted(asked_at, 30.0)

    assert not tenure.held
    assert tenure.lost == "unreachable"


def test_an_answer_that_comes_after_all_was_over_grants_nothing(
    standing: AgentLiveness, clock: SetClock
) -> None:
    tenure = LeaseValidity(standing, clock, standing.epoch)
    asked_at = clock()
    clock.pass_(31.0)
    tenure.granted(asked_at, 30.0)

    assert not tenure.held


def test_it_ends_with_the_heartbeats_however_long_it_was_granted_for(
    standing: AgentLiveness, clock: SetClock
) -> None:
    tenure = granted(standing, clock, HOUR)
    clock.now = standing.until

    assert tenure.until == standing.until
    assert not tenure.held
    assert tenure.lost == "agent_inactive"


def test_a_process_that_was_stopped_finds_it_lost_even_when_a_heartbeat_is_answered_first(
    standing: AgentLiveness, clock: SetClock
) -> None:
    tenure = granted(standing, clock, HOUR)
    clock.pass_(WINDOW + 1)
    standing.confirmed(clock(), WINDOW)

    assert standing.active
    assert not tenure.held
    assert tenure.lost == "agent_inactive"


def test_a_lease_of_the_new_epoch_is_held(standing: AgentLiveness, clock: SetClock) -> None:
    clock.pass_(WINDOW + 1)
    standing.confirmed(clock(), WINDOW)

    assert granted(standing, clock).held


def test_a_lease_that_was_asked_for_in_an_earlier_epoch_is_lost_before_it_begins(
    standing: AgentLiveness, clock: SetClock
) -> None:
    asked_at, epoch = clock(), standing.epoch
    clock.pass_(WINDOW + 1)  # Stopped while the answer was on its way.
    standing.confirmed(clock(), WINDOW)
    tenure = LeaseValidity(standing, clock, epoch)
    tenure.granted(asked_at, HOUR)

    assert not tenure.held


def test_an_agent_that_is_said_to_be_inactive_has_no_leases(
    standing: AgentLiveness, clock: SetClock
) -> None:
    tenure = granted(standing, clock)
    standing.denied()
    standing.confirmed(clock(), WINDOW)

    assert standing.active
    assert not tenure.held


def test_the_first_reason_stands(standing: AgentLiveness, clock: SetClock) -> None:
    tenure = granted(standing, clock)
    tenure.lose("revoked")
    tenure.lose("released")
    clock.pass_(HOUR)

    assert not tenure.held
    assert tenure.lost == "revoked"


def test_heartbeats_that_the_service_takes_for_one_extend_nothing_they_should_not(
    clock: SetClock,
) -> None:
    """The service heard the first of two heartbeats and answered both with it."""
    standing = AgentLiveness(clock)
    first_heard_at = clock()
    standing.confirmed(clock(), WINDOW)
    clock.pass_(WINDOW / HEARTBEATS_PER_WINDOW_MAX - 0.001)
    standing.confirmed(clock(), WINDOW)

    assert standing.until <= believed_until(first_heard_at, WINDOW)


def test_an_older_answer_that_comes_late_changes_nothing(clock: SetClock) -> None:
    standing = AgentLiveness(clock)
    asked_first = clock()
    clock.pass_(10.0)
    standing.confirmed(clock(), WINDOW)
    until = standing.until
    standing.confirmed(asked_first, WINDOW)

    assert standing.until == until


def test_a_shorter_window_is_believed_at_once(clock: SetClock) -> None:
    standing = AgentLiveness(clock)
    standing.confirmed(clock(), WINDOW)
    standing.confirmed(clock(), 10.0)

    assert standing.until < clock() + 10.0


@given(
    asked_at=st.floats(0, 1e6),
    took=st.floats(0, 100),
    seconds=st.floats(1, 86_400),
    slower=st.floats(0, DRIFT_SHARE * 0.9),
)
def test_the_agent_stops_before_the_service_lets_anyone_in_however_slow_its_clock(
    asked_at: float, took: float, seconds: float, slower: float
) -> None:
    """The service decides ``took`` after the question; our clock runs up to ``slower`` too slow."""
    service_ends_after = took + seconds
    agent_stops_after = (believed_until(asked_at, seconds) - asked_at) / (1 - slower)

    assert agent_stops_after <= service_ends_after - DRIFT_SECONDS / 2
