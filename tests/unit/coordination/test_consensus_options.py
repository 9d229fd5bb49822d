"""Options of one request: who is asked, whether the proposer is, and how few are enough."""

import pytest

from quorate.domain.coordination.consensus import CONSENSUS, NotEligible
from quorate.domain.identity.api_keys import KeyIssued
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_events import beat, decided, lapsed, proposed, registered, voted
from tests.unit.support.scenario import id_of, propose, register, vote
from tests.unit.support.specification import NOON, Fact, Story, after, given

NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida")
IN_HALF_AN_HOUR = after(minutes=30)
LATE = after(minutes=6)


def team(n: int) -> Story:
    return given(*(registered(name) for name in NAMES[:n]))


def all_silent_but(*names: str, story: Story) -> Story:
    return story.and_given(*(beat(name, at=after(minutes=3)) for name in names))


# -- electorate: "snapshot" --------------------------------------------------


def snapshot(n: int, *, until: Timestamp = IN_HALF_AN_HOUR) -> Story:
    return team(n).and_given(proposed("ann", among=n, members=NAMES[:n], until=until))


def test_a_snapshot_names_those_who_are_active_when_it_is_asked() -> None:
    story = all_silent_but("ann", "cat", story=team(3))

    story.when(propose("ann", electorate="snapshot"), at=LATE).then(
        proposed("ann", among=2, members=("ann", "cat"), until=after(minutes=11), at=LATE)
    )


def test_in_a_snapshot_who_joins_late_does_not_vote() -> None:
    snapshot(2).and_given(registered("cat")).when(vote("cat", "approve")).then_refused(
        NotEligible("agent_cat")
    )


def test_in_a_snapshot_who_joins_late_does_not_count() -> None:
    story = snapshot(1).and_given(registered("bob"), registered("cat"))

    story.when(vote("ann", "approve")).then(
        voted("ann", "approve"), decided("approved", among=("ann",), approvals=1)
    )


def test_in_a_snapshot_n_is_fixed_whoever_goes_silent() -> None:
    story = all_silent_but("ann", "bob", "cat", story=snapshot(5))
    for name in ("ann", "bob"):
        story.when(vote(name, "approve"), at=LATE).then(voted(name, "approve", at=LATE))

    story.when(vote("cat", "approve")).then(
        voted("cat", "approve", at=LATE),
        decided("approved", among=NAMES[:5], approvals=3, at=LATE),
    )


def test_in_a_snapshot_a_vote_stays_counted_when_its_voter_goes_silent() -> None:
    story = snapshot(3)
    story.ask(vote("bob", "approve"), NOON)
    all_silent_but("ann", "cat", story=story)

    story.when(vote("ann", "approve"), at=LATE).then(
        voted("ann", "approve", at=LATE),
        decided("approved", among=NAMES[:3], approvals=2, at=LATE),
    )


# -- proposerVotes: false ----------------------------------------------------


def without_proposer(n: int) -> Story:
    return team(n).and_given(proposed("ann", among=n - 1, proposer_votes=False))


def test_a_proposer_that_stands_aside_does_not_vote() -> None:
    without_proposer(3).when(vote("ann", "approve")).then_refused(NotEligible("agent_ann"))


def test_a_proposer_that_stands_aside_is_not_counted() -> None:
    story = without_proposer(4)
    story.when(vote("bob", "approve")).then(voted("bob", "approve"))

    story.when(vote("cat", "approve")).then(
        voted("cat", "approve"), decided("approved", among=("bob", "cat", "dan"), approvals=2)
    )


def test_the_size_that_is_announced_leaves_the_proposer_out() -> None:
    team(4).when(propose("ann", proposer_votes=False)).then(
        proposed("ann", among=3, proposer_votes=False)
    )


def test_a_snapshot_without_the_proposer_names_the_others() -> None:
    team(3).when(propose("ann", electorate="snapshot", proposer_votes=False)).then(
        proposed("ann", among=2, proposer_votes=False, members=("bob", "cat"))
    )


def test_alone_and_standing_aside_nobody_can_decide() -> None:
    story = without_proposer(1)

    story.when(vote("ann", "approve")).then_refused(NotEligible("agent_ann"))


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
def test_the_floor_is_a_share_of_those_asked_rounded_up(floor: str, n: int, minimum: int) -> None:
    team(n).when(propose("ann", floor=floor)).then(
        proposed("ann", among=n, floor=floor, minimum=minimum)
    )


def test_the_floor_knows_no_binary_fractions() -> None:
    """0.07 x 100 is 7; in floating point it is a little more, which would round up to 8."""
    names = [f"agent{number}" for number in range(100)]
    story = given(*(registered(name) for name in names))
    story.ask(propose("agent0", floor="0.07"), NOON)

    assert story.tenant_state[CONSENSUS]["request"].minimum == 7


def floored(n: int, minimum: int) -> Story:
    return team(n).and_given(
        proposed("ann", among=n, floor="0.6", minimum=minimum, until=IN_HALF_AN_HOUR)
    )


def test_below_the_floor_two_of_two_are_not_enough() -> None:
    story = all_silent_but("ann", "bob", story=floored(7, minimum=5))

    for name in ("ann", "bob"):
        story.when(vote(name, "approve"), at=LATE).then(voted(name, "approve", at=LATE))


def test_at_the_floor_more_than_half_of_it_decides() -> None:
    names = ("ann", "bob", "cat")
    story = all_silent_but(*names, story=floored(7, minimum=5))
    for name in names[:2]:
        story.when(vote(name, "reject"), at=LATE).then(voted(name, "reject", at=LATE))

    story.when(vote("cat", "reject")).then(
        voted("cat", "reject", at=LATE),
        decided("rejected", among=names, rejections=3, size=5, at=LATE),
    )


def test_above_the_floor_those_who_are_active_count() -> None:
    story = floored(3, minimum=2)
    for name in ("dan", "eve"):
        story.ask(register(name), NOON)
    story.ask(vote("ann", "approve"), NOON)
    story.ask(vote("bob", "approve"), NOON)

    story.when(vote("cat", "approve")).then(
        voted("cat", "approve"), decided("approved", among=NAMES[:5], approvals=3)
    )


# -- Who is not there yet ----------------------------------------------------


def test_an_agent_that_only_has_a_key_is_asked_nothing() -> None:
    key = KeyIssued(
        key_id="k", role="agent", secret_hash="00", agent_id=id_of("bob"), agent_name="bob"
    )
    story = given(registered("ann"), Fact(at=NOON, event=key))

    story.when(propose("ann", electorate="snapshot")).then(
        proposed("ann", among=1, members=("ann",))
    )


def test_an_agent_that_lapsed_before_is_asked_nothing() -> None:
    story = team(2).and_given(beat("ann", at=after(minutes=3)), lapsed("bob", at=LATE))

    story.when(propose("ann", electorate="snapshot")).then(
        proposed("ann", among=1, members=("ann",), until=after(minutes=11), at=LATE)
    )
