"""Options of a proposal: electorate, exclusion of the proposer, and the floor."""

import pytest

from quorate.domain.coordination.consensus import CONSENSUS, NotEligible
from quorate.domain.identity.api_keys import KeyIssued
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import id_of, propose, register, vote
from tests.unit.support.sample_events import (
    agent_lapsed,
    decided,
    heartbeat_received,
    proposed,
    registered,
    voted,
)
from tests.unit.support.specification import NOON, Scenario, TimedEvent, after, given

NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida")
IN_HALF_AN_HOUR = after(minutes=30)
LATE = after(minutes=6)


def registered_agents(n: int) -> Scenario:
    return given(*(registered(name) for name in NAMES[:n]))


def only_active(*names: str, scenario: Scenario) -> Scenario:
    return scenario.and_given(*(heartbeat_received(name, at=after(minutes=3)) for name in names))


# -- electorate: "snapshot" --------------------------------------------------


def snapshot(n: int, *, until: Timestamp = IN_HALF_AN_HOUR) -> Scenario:
    return registered_agents(n).and_given(proposed("ann", among=n, members=NAMES[:n], until=until))


def test_snapshot_names_the_agents_active_at_creation() -> None:
    scenario = only_active("ann", "cat", scenario=registered_agents(3))

    scenario.when(propose("ann", electorate="snapshot"), at=LATE).then(
        proposed("ann", among=2, members=("ann", "cat"), until=after(minutes=11), at=LATE)
    )


def test_agent_registered_later_cannot_vote_in_a_snapshot() -> None:
    snapshot(2).and_given(registered("cat")).when(vote("cat", "approve")).then_rejected(
        NotEligible("agent_cat")
    )


def test_agent_registered_later_does_not_count_in_a_snapshot() -> None:
    scenario = snapshot(1).and_given(registered("bob"), registered("cat"))

    scenario.when(vote("ann", "approve")).then(
        voted("ann", "approve"), decided("approved", among=("ann",), approvals=1)
    )


def test_snapshot_size_stays_fixed_when_members_time_out() -> None:
    scenario = only_active("ann", "bob", "cat", scenario=snapshot(5))
    for name in ("ann", "bob"):
        scenario.when(vote(name, "approve"), at=LATE).then(voted(name, "approve", at=LATE))

    scenario.when(vote("cat", "approve")).then(
        voted("cat", "approve", at=LATE),
        decided("approved", among=NAMES[:5], approvals=3, at=LATE),
    )


def test_vote_in_a_snapshot_counts_after_its_voter_timed_out() -> None:
    scenario = snapshot(3)
    scenario.execute(vote("bob", "approve"), NOON)
    only_active("ann", "cat", scenario=scenario)

    scenario.when(vote("ann", "approve"), at=LATE).then(
        voted("ann", "approve", at=LATE),
        decided("approved", among=NAMES[:3], approvals=2, at=LATE),
    )


# -- proposerVotes: false ----------------------------------------------------


def without_proposer(n: int) -> Scenario:
    return registered_agents(n).and_given(proposed("ann", among=n - 1, proposer_votes=False))


def test_excluded_proposer_cannot_vote() -> None:
    without_proposer(3).when(vote("ann", "approve")).then_rejected(NotEligible("agent_ann"))


def test_excluded_proposer_is_not_counted() -> None:
    scenario = without_proposer(4)
    scenario.when(vote("bob", "approve")).then(voted("bob", "approve"))

    scenario.when(vote("cat", "approve")).then(
        voted("cat", "approve"), decided("approved", among=("bob", "cat", "dan"), approvals=2)
    )


def test_announced_size_excludes_the_proposer() -> None:
    registered_agents(4).when(propose("ann", proposer_votes=False)).then(
        proposed("ann", among=3, proposer_votes=False)
    )


def test_snapshot_without_the_proposer_names_the_others() -> None:
    registered_agents(3).when(propose("ann", electorate="snapshot", proposer_votes=False)).then(
        proposed("ann", among=2, proposer_votes=False, members=("bob", "cat"))
    )


def test_proposal_of_a_single_excluded_proposer_cannot_be_decided() -> None:
    scenario = without_proposer(1)

    scenario.when(vote("ann", "approve")).then_rejected(NotEligible("agent_ann"))


# -- floor -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("floor", "n", "minimum"),
    [
        ("0", 5, 0),
        ("0.5", 4, 2),
        ("0.5", 5, 3),
        ("0.51", 4, 3),
        ("0.1", 1, 1),
        ("1", 9, 9),
        ("1.0", 9, 9),
        ("0.7", 9, 7),
        ("0.3333", 9, 3),
        ("0.33334", 9, 4),
    ],
)
def test_floor_is_a_share_of_the_electorate_rounded_up(floor: str, n: int, minimum: int) -> None:
    registered_agents(n).when(propose("ann", floor=floor)).then(
        proposed("ann", among=n, floor=floor, minimum=minimum)
    )


def test_floor_is_computed_without_floating_point() -> None:
    """0.07 x 100 is 7. In floating point it is slightly more, which would round up to 8."""
    names = [f"agent{number}" for number in range(100)]
    scenario = given(*(registered(name) for name in names))
    scenario.execute(propose("agent0", floor="0.07"), NOON)

    assert scenario.tenant_state[CONSENSUS]["request"].minimum == 7


def floored(n: int, minimum: int) -> Scenario:
    return registered_agents(n).and_given(
        proposed("ann", among=n, floor="0.6", minimum=minimum, until=IN_HALF_AN_HOUR)
    )


def test_unanimous_votes_below_the_floor_do_not_decide() -> None:
    scenario = only_active("ann", "bob", scenario=floored(7, minimum=5))

    for name in ("ann", "bob"):
        scenario.when(vote(name, "approve"), at=LATE).then(voted(name, "approve", at=LATE))


def test_more_than_half_of_the_floor_decides() -> None:
    names = ("ann", "bob", "cat")
    scenario = only_active(*names, scenario=floored(7, minimum=5))
    for name in names[:2]:
        scenario.when(vote(name, "reject"), at=LATE).then(voted(name, "reject", at=LATE))

    scenario.when(vote("cat", "reject")).then(
        voted("cat", "reject", at=LATE),
        decided("rejected", among=names, rejections=3, size=5, at=LATE),
    )


def test_active_agents_count_above_the_floor() -> None:
    scenario = floored(3, minimum=2)
    for name in ("dan", "eve"):
        scenario.execute(register(name), NOON)
    scenario.execute(vote("ann", "approve"), NOON)
    scenario.execute(vote("bob", "approve"), NOON)

    scenario.when(vote("cat", "approve")).then(
        voted("cat", "approve"), decided("approved", among=NAMES[:5], approvals=3)
    )


# -- Agents outside the electorate -------------------------------------------


def test_reserved_agent_is_not_in_the_electorate() -> None:
    key = KeyIssued(
        key_id="k", role="agent", secret_hash="00", agent_id=id_of("bob"), agent_name="bob"
    )
    scenario = given(registered("ann"), TimedEvent(at=NOON, event=key))

    scenario.when(propose("ann", electorate="snapshot")).then(
        proposed("ann", among=1, members=("ann",))
    )


def test_timed_out_agent_is_not_in_the_electorate() -> None:
    scenario = registered_agents(2).and_given(
        heartbeat_received("ann", at=after(minutes=3)), agent_lapsed("bob", at=LATE)
    )

    scenario.when(propose("ann", electorate="snapshot")).then(
        proposed("ann", among=1, members=("ann",), until=after(minutes=11), at=LATE)
    )
