"""A pending proposal is cancelled by its proposer or with the tenant's key."""

import pytest

from quorate.domain.coordination.cancellations import NotProposer
from quorate.domain.coordination.consensus import CONSENSUS, RequestClosed, RequestNotFound
from quorate.domain.identity.agents import AgentNotFound
from quorate.domain.shared.deadlines import RecordDue
from tests.unit.support.sample_commands import TENANT_KEY, cancel, propose, vote
from tests.unit.support.sample_events import (
    agent_lapsed,
    decided,
    deregistered,
    proposal_cancelled,
    proposal_expired,
    proposed,
    registered,
    voted,
)
from tests.unit.support.specification import after, given

PENDING = (registered("ann"), registered("bob"), proposed("ann", among=2))
LATE = after(minutes=6)


def test_proposer_cancels_its_proposal() -> None:
    scenario = given(*PENDING)

    cancelled = scenario.when(cancel("ann", reason="solved"))
    cancelled.then(proposal_cancelled("ann", by="ann", reason="solved"))
    assert cancelled.outcome.result.status == "cancelled"
    assert scenario.tenant_state.count("open_requests") == 0


def test_tenant_key_cancels_any_proposal_also_of_an_agent_that_left() -> None:
    given(*PENDING, deregistered("ann")).when(cancel(None)).then(proposal_cancelled("ann"))


def test_tenant_key_cancels_as_the_proposer() -> None:
    given(*PENDING).when(cancel("ann", by=TENANT_KEY)).then(proposal_cancelled("ann", by="ann"))


@pytest.mark.parametrize("by", [None, TENANT_KEY])
def test_another_agent_cannot_cancel(by: None) -> None:
    given(*PENDING).when(cancel("bob", by=by)).then_rejected(NotProposer("agent_bob"))


def test_inactive_proposer_cancels() -> None:
    given(registered("ann"), proposed("ann", among=1, until=after(minutes=20))).when(
        cancel("ann"), at=LATE
    ).then(agent_lapsed("ann", at=LATE), proposal_cancelled("ann", by="ann", at=LATE))


def test_second_cancellation_records_nothing() -> None:
    given(*PENDING, proposal_cancelled("ann")).when(cancel("ann")).then_nothing()


def test_cancelled_proposal_accepts_no_votes_and_never_expires() -> None:
    scenario = given(*PENDING, voted("bob", "approve"), proposal_cancelled("ann"))

    scenario.when(vote("ann", "approve")).then_rejected(RequestClosed("cancelled"))
    scenario.when(RecordDue(aggregate="consensus", id="request"), at=LATE).then_nothing()
    assert scenario.tenant_state[CONSENSUS]["request"].status == "cancelled"


def test_closed_proposal_cannot_be_cancelled() -> None:
    approved = decided("approved", among=("ann", "bob"), approvals=2)
    given(*PENDING, voted("ann", "approve"), voted("bob", "approve"), approved).when(
        cancel("ann")
    ).then_rejected(RequestClosed("approved"))
    given(*PENDING).when(cancel(None), at=LATE).then_rejected(
        RequestClosed("expired"), recorded_first=[proposal_expired("ann", at=LATE)]
    )


def test_unknown_proposals_and_agents_are_not_found() -> None:
    given(*PENDING).when(cancel("ann", request="other")).then_rejected(RequestNotFound())
    given(*PENDING).when(cancel("cat")).then_rejected(AgentNotFound())


def test_cancellation_frees_a_place_in_the_quota() -> None:
    scenario = given(*PENDING, proposal_cancelled("ann"))

    scenario.when(propose("ann", request="next")).then(proposed("ann", among=2, request="next"))
    assert scenario.tenant_state.count("open_requests") == 1
