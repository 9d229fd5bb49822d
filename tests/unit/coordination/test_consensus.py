"""Propose and vote: a majority decides a proposal finally, and an undecided one expires."""

import pytest

from quorate.domain.coordination.consensus import (
    CONSENSUS,
    AlreadyVoted,
    Choice,
    RequestClosed,
    RequestNotFound,
    Status,
    VoteCount,
)
from quorate.domain.identity.agents import AgentInactive, AgentNotFound
from quorate.domain.registry import stream_of
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import propose, vote
from tests.unit.support.sample_events import (
    IN_FIVE_MINUTES,
    agent_lapsed,
    decided,
    heartbeat_received,
    proposal_expired,
    proposed,
    registered,
    voted,
)
from tests.unit.support.specification import NOON, Scenario, TimedEvent, after, given

NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida")
JUST_BEFORE = Timestamp(IN_FIVE_MINUTES - 1)
JUST_AFTER = Timestamp(IN_FIVE_MINUTES + 1)
LATE = after(minutes=6)
record_due_of_proposal = RecordDue(aggregate="consensus", id="request")


def proposal_among(n: int, *, until: Timestamp = IN_FIVE_MINUTES) -> Scenario:
    """A proposal of ann among ``n`` agents, including ann, that registered at the same time."""
    return given(*(registered(name) for name in NAMES[:n]), proposed("ann", among=n, until=until))


# -- Proposing ---------------------------------------------------------------


def test_active_agent_proposes_and_the_proposal_is_pending() -> None:
    execution = given(registered("ann"), registered("bob")).when(propose("ann"))
    execution.then(proposed("ann", among=2))
    request = execution.outcome.result

    assert (request.status, request.votes, request.tally) == ("pending", {}, None)
    assert (request.created_at, request.timeout_at) == (NOON, IN_FIVE_MINUTES)


def test_proposing_does_not_count_as_a_vote() -> None:
    given(registered("ann")).when(propose("ann")).then(proposed("ann", among=1))


def test_inactive_agent_cannot_propose() -> None:
    given(registered("ann"), agent_lapsed("ann", at=LATE)).when(propose("ann")).then_rejected(
        AgentInactive("agent_ann", NOON)
    )


def test_unknown_agent_cannot_propose() -> None:
    given().when(propose("ann")).then_rejected(AgentNotFound())


def test_contact_may_have_two_proposals() -> None:
    execution = proposal_among(3).when(propose("bob", request="other"))

    execution.then(proposed("bob", among=3, request="other"))


def test_events_of_a_proposal_form_one_stream() -> None:
    events = (
        proposed("ann", among=1),
        voted("ann", "approve"),
        decided("approved", among=("ann",)),
    )

    assert {stream_of(entry.event) for entry in events} == {"consensus-request"}


# -- The majority ------------------------------------------------------------

MAJORITY_OF = {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4, 8: 5, 9: 5}


@pytest.mark.parametrize(("choice", "status"), [("approve", "approved"), ("reject", "rejected")])
@pytest.mark.parametrize(("n", "needed"), MAJORITY_OF.items())
def test_more_than_half_decides_and_half_does_not(
    n: int, needed: int, choice: Choice, status: Status
) -> None:
    scenario = proposal_among(n)
    for name in NAMES[: needed - 1]:
        scenario.when(vote(name, choice)).then(voted(name, choice))
    last = NAMES[needed - 1]
    approvals, rejections = (needed, 0) if choice == "approve" else (0, needed)

    scenario.when(vote(last, choice)).then(
        voted(last, choice),
        decided(status, among=NAMES[:n], approvals=approvals, rejections=rejections),
    )


def test_deciding_vote_returns_the_decision() -> None:
    scenario = proposal_among(3)

    assert scenario.execute(vote("ann", "approve"), NOON).result.status == "pending"
    assert scenario.execute(vote("bob", "approve"), NOON).result.status == "approved"


def test_decision_keeps_its_counts() -> None:
    scenario = proposal_among(3)
    for name, choice in (("ann", "reject"), ("bob", "approve"), ("cat", "approve")):
        scenario.execute(vote(name, choice), after(minutes=1))  # type: ignore[arg-type]
    request = scenario.tenant_state[CONSENSUS]["request"]

    assert request.tally == VoteCount(approvals=2, rejections=1, electorate_size=3)
    assert request.closed_at == after(minutes=1)


@pytest.mark.parametrize("n", [2, 4, 6, 8])
def test_tie_stays_pending_until_the_timeout(n: int) -> None:
    scenario = proposal_among(n)
    for position, name in enumerate(NAMES[:n]):
        choice: Choice = "approve" if position % 2 else "reject"
        scenario.when(vote(name, choice)).then(voted(name, choice))

    scenario.when(record_due_of_proposal, at=IN_FIVE_MINUTES).then(
        proposal_expired("ann", at=IN_FIVE_MINUTES)
    )


def test_majority_may_follow_a_tie() -> None:
    scenario = proposal_among(5)
    for name, choice in (("ann", "approve"), ("bob", "reject"), ("cat", "approve")):
        assert len(scenario.execute(vote(name, choice), NOON).events) == 1  # type: ignore[arg-type]
    scenario.when(vote("dan", "reject")).then(voted("dan", "reject"))

    scenario.when(vote("eve", "reject")).then(
        voted("eve", "reject"), decided("rejected", among=NAMES[:5], approvals=2, rejections=3)
    )


def test_proposer_may_vote() -> None:
    proposal_among(1).when(vote("ann", "approve")).then(
        voted("ann", "approve"), decided("approved", among=("ann",), approvals=1)
    )


# -- One vote per agent ------------------------------------------------------


def test_repeated_vote_returns_the_first_vote() -> None:
    scenario = proposal_among(3).and_given(voted("ann", "approve", reason="Agreed"))
    again = scenario.when(vote("ann", "approve", reason="Still agreed"), at=after(minutes=1))
    again.then_nothing()

    assert again.outcome.result.vote.reason == "Agreed"
    assert again.outcome.result.vote.created_at == NOON


def test_opposite_vote_is_rejected() -> None:
    proposal_among(3).and_given(voted("ann", "approve")).when(vote("ann", "reject")).then_rejected(
        AlreadyVoted("approve")
    )


def test_repeated_vote_returns_the_current_status() -> None:
    scenario = proposal_among(3)
    scenario.execute(vote("ann", "approve"), NOON)
    scenario.execute(vote("bob", "approve"), NOON)

    again = scenario.when(vote("ann", "approve"))
    again.then_nothing()
    assert again.outcome.result.status == "approved"


def test_opposite_vote_after_the_decision_is_rejected_as_a_second_vote() -> None:
    scenario = proposal_among(1)
    scenario.execute(vote("ann", "approve"), NOON)

    scenario.when(vote("ann", "reject")).then_rejected(AlreadyVoted("approve"))


def test_vote_counts_for_its_proposal_only() -> None:
    scenario = proposal_among(3).and_given(proposed("ann", among=3, request="other"))
    scenario.execute(vote("ann", "approve"), NOON)

    scenario.when(vote("bob", "approve", request="other")).then(
        voted("bob", "approve", request="other")
    )


# -- Closed proposals --------------------------------------------------------


def test_new_vote_after_the_decision_is_rejected() -> None:
    scenario = proposal_among(3)
    scenario.execute(vote("ann", "approve"), NOON)
    scenario.execute(vote("bob", "approve"), NOON)

    scenario.when(vote("cat", "reject")).then_rejected(RequestClosed("approved"))
    assert scenario.tenant_state[CONSENSUS]["request"].status == "approved"


def test_decided_proposal_does_not_expire() -> None:
    scenario = proposal_among(1)
    scenario.execute(vote("ann", "approve"), NOON)

    scenario.when(record_due_of_proposal, at=JUST_AFTER).then_nothing()


def test_vote_on_an_unknown_proposal_is_rejected() -> None:
    proposal_among(1).when(vote("ann", "approve", request="nothing")).then_rejected(
        RequestNotFound()
    )


def test_unknown_agent_cannot_vote() -> None:
    proposal_among(1).when(vote("zoe", "approve")).then_rejected(AgentNotFound())


# -- The timeout -------------------------------------------------------------


def test_votes_are_counted_until_the_last_millisecond() -> None:
    scenario = proposal_among(1)

    scenario.when(vote("ann", "approve"), at=JUST_BEFORE).then(
        voted("ann", "approve", at=JUST_BEFORE),
        decided("approved", among=("ann",), approvals=1, at=JUST_BEFORE),
    )


@pytest.mark.parametrize("at", [IN_FIVE_MINUTES, JUST_AFTER])
def test_vote_at_the_timeout_is_rejected(at: Timestamp) -> None:
    scenario = proposal_among(1).and_given(heartbeat_received("ann", at=after(minutes=1)))

    scenario.when(vote("ann", "approve"), at=at).then_rejected(
        RequestClosed("expired"), recorded_first=[proposal_expired("ann", at=at)]
    )


@pytest.mark.parametrize(
    "first", [record_due_of_proposal, vote("ann", "approve")], ids=["timer", "vote"]
)
@pytest.mark.parametrize(
    "second", [record_due_of_proposal, vote("bob", "reject")], ids=["timer", "vote"]
)
def test_expiry_is_recorded_once_by_whichever_command_is_first(
    first: Command, second: Command
) -> None:
    scenario = proposal_among(3).and_given(
        *(heartbeat_received(name, at=after(minutes=1)) for name in ("ann", "bob"))
    )
    answers = [scenario.execute(command, JUST_AFTER) for command in (first, second)]
    recorded_first = [event for outcome in answers for event in outcome.events]

    assert [TimedEvent(at=JUST_AFTER, event=event) for event in recorded_first] == [
        proposal_expired("ann", at=JUST_AFTER)
    ]


def test_scheduler_records_nothing_before_the_timeout() -> None:
    proposal_among(3).when(record_due_of_proposal, at=JUST_BEFORE).then_nothing()


def test_scheduler_ignores_an_unknown_proposal() -> None:
    given().when(record_due_of_proposal).then_nothing()


@pytest.mark.parametrize(("minutes", "milliseconds"), [(1 / 60, 1_000), (0.5, 30_000)])
def test_timeout_may_be_a_fraction_of_minutes(minutes: float, milliseconds: int) -> None:
    given(registered("ann")).when(propose("ann", minutes=minutes)).then(
        proposed("ann", among=1, until=after(milliseconds=milliseconds))
    )
