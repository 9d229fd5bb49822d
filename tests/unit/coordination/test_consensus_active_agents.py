"""Only agents that are active at the time of a vote count for the decision of a proposal."""

import pytest

from quorate.domain.coordination.consensus import CONSENSUS
from quorate.domain.identity.agents import AgentInactive
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command
from tests.unit.coordination.test_consensus import (
    LATE,
    NAMES,
    proposal_among,
    record_due_of_proposal,
)
from tests.unit.support.sample_commands import acquire, heartbeat, register, vote
from tests.unit.support.sample_events import (
    agent_lapsed,
    decided,
    heartbeat_received,
    registered,
    voted,
)
from tests.unit.support.specification import NOON, Scenario, after


def test_agent_registered_later_counts_and_may_vote() -> None:
    scenario = proposal_among(2).and_given(registered("cat"))
    scenario.execute(vote("ann", "approve"), NOON)

    scenario.when(vote("cat", "approve")).then(
        voted("cat", "approve"), decided("approved", among=NAMES[:3], approvals=2)
    )


def test_agent_registered_later_raises_the_majority() -> None:
    scenario = proposal_among(3)
    scenario.execute(vote("ann", "approve"), NOON)
    for name in ("dan", "eve"):
        scenario.execute(register(name), NOON)

    scenario.when(vote("bob", "approve")).then(voted("bob", "approve"))


def only_active(*names: str, n: int) -> Scenario:
    """A proposal among ``n`` agents; only these sent a heartbeat and are active at LATE."""
    heartbeats = (heartbeat_received(name, at=after(minutes=3)) for name in names)
    return proposal_among(n, until=after(minutes=30)).and_given(*heartbeats)


def test_timed_out_agent_is_not_counted_before_its_timeout_is_recorded() -> None:
    before_recording = only_active("ann", "bob", n=5)
    after_recording = only_active("ann", "bob", n=5).and_given(
        *(agent_lapsed(name, at=LATE) for name in ("cat", "dan", "eve"))
    )

    for scenario in (before_recording, after_recording):
        scenario.when(vote("ann", "approve"), at=LATE).then(voted("ann", "approve", at=LATE))
        scenario.when(vote("bob", "approve"), at=LATE).then(
            voted("bob", "approve", at=LATE),
            decided("approved", among=("ann", "bob"), approvals=2, at=LATE),
        )


def test_vote_of_a_timed_out_agent_is_not_counted() -> None:
    scenario = only_active("ann", "bob", "cat", n=5)
    scenario.execute(vote("dan", "approve"), after(minutes=4))
    scenario.execute(vote("eve", "approve"), after(minutes=4))

    scenario.when(vote("ann", "approve"), at=LATE).then(voted("ann", "approve", at=LATE))


def test_vote_of_a_returned_agent_counts_again() -> None:
    scenario = only_active("ann", "bob", "cat", n=5)
    scenario.execute(vote("dan", "approve"), after(minutes=4))
    scenario.execute(vote("ann", "approve"), LATE)
    scenario.when(heartbeat("dan"), at=LATE).then(
        agent_lapsed("dan", at=LATE), heartbeat_received("dan", at=LATE)
    )

    scenario.when(vote("bob", "approve")).then(
        voted("bob", "approve", at=LATE),
        decided("approved", among=("ann", "bob", "cat", "dan"), approvals=3, at=LATE),
    )


def test_timed_out_agent_votes_only_after_a_heartbeat() -> None:
    scenario = only_active("ann", n=2)
    scenario.when(vote("bob", "approve"), at=LATE).then_rejected(
        AgentInactive("agent_bob", NOON), recorded_first=[agent_lapsed("bob", at=LATE)]
    )
    scenario.execute(heartbeat("bob"), LATE)

    scenario.when(vote("bob", "approve")).then(voted("bob", "approve", at=LATE))


def test_agent_counts_exactly_at_the_end_of_its_window() -> None:
    scenario = proposal_among(2, until=after(minutes=30))
    at_the_window, past_it = after(minutes=5), after(minutes=5, milliseconds=1)
    scenario.when(vote("ann", "approve"), at=at_the_window).then(
        voted("ann", "approve", at=at_the_window)
    )
    other = proposal_among(2, until=after(minutes=30)).and_given(
        heartbeat_received("ann", at=after(minutes=1))
    )

    other.when(vote("ann", "approve"), at=past_it).then(
        voted("ann", "approve", at=past_it),
        decided("approved", among=("ann",), approvals=1, at=past_it),
    )


@pytest.mark.parametrize(
    "command",
    [
        RecordDue(aggregate="agent", id="agent_cat"),
        record_due_of_proposal,
        heartbeat("ann"),
        heartbeat("cat"),
        register("ann"),
        acquire("ann"),
        vote("ann", "approve"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_only_a_new_vote_decides(command: Command) -> None:
    """Two of four approve. After the others time out, two votes are a majority of two agents."""
    scenario = only_active("ann", "bob", n=4)
    scenario.execute(vote("ann", "approve"), after(minutes=4))
    scenario.execute(vote("bob", "approve"), after(minutes=4))
    scenario.execute(command, LATE)

    assert scenario.tenant_state[CONSENSUS]["request"].status == "pending"


def test_majority_after_a_timeout_is_decided_by_the_next_vote() -> None:
    scenario = only_active("ann", "bob", "cat", n=5)
    scenario.execute(vote("ann", "approve"), after(minutes=4))
    scenario.execute(vote("bob", "approve"), after(minutes=4))

    scenario.when(vote("cat", "reject"), at=LATE).then(
        voted("cat", "reject", at=LATE),
        decided("approved", among=("ann", "bob", "cat"), approvals=2, rejections=1, at=LATE),
    )


def test_decision_stays_when_its_voters_time_out() -> None:
    scenario = proposal_among(3)
    for name in ("ann", "bob"):
        scenario.execute(vote(name, "approve"), NOON)
    scenario.execute(heartbeat("cat"), after(minutes=4))
    for command in (
        record_due_of_proposal,
        RecordDue(aggregate="agent", id="agent_ann"),
        heartbeat("bob"),
    ):
        scenario.execute(command, LATE)

    assert scenario.tenant_state[CONSENSUS]["request"].status == "approved"
