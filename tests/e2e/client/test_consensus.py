"""Votes decide a proposal. A notification wakes the agents that wait for the decision."""

import asyncio

import pytest

from quorate.client import (
    AlreadyVotedError,
    ConsensusClosedError,
    ConsensusNotFoundError,
    NotEligibleError,
)
from tests.e2e.client.agent_fleet import Fleet, collecting, time_limit
from tests.e2e.service.nats_listener import wait_until

POLLING_WOULD_SHOW_SECONDS = 0.3  # A polling client would send a request in this time.
WORDS = ("pause outreach", "ceo@bigcorp.com", "Fatigue scores are high")


@pytest.mark.parametrize(("choice", "status"), [("approve", "approved"), ("reject", "rejected")])
async def test_majority_decides(fleet: Fleet, choice: str, status: str) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two, time_limit():
        proposal = await one.propose(*WORDS)
        deciding = asyncio.create_task(proposal.wait_for_decision())
        vote = await one.vote(proposal.id, choice, reason="because")  # type: ignore[arg-type]
        assert (vote.consensus_status, vote.reason) == ("pending", "because")
        await two.vote(proposal.id, choice)  # type: ignore[arg-type]
        decided = await deciding

    assert decided.status == status
    assert decided.decision is not None
    assert decided.decision.electorate_size == 2
    assert proposal.info == decided


async def test_wait_for_decision_queries_at_its_start_and_after_the_notification(
    fleet: Fleet,
) -> None:
    operations: list[str] = []
    async with fleet.agent("one") as one, fleet.agent("two") as two, time_limit():
        proposal = await one.propose(*WORDS)
        send = one._context.transport.send

        async def count(request, **rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
            operations.append(request.name)
            return await send(request, **rest)

        one._context.transport.send = count  # type: ignore[method-assign]
        deciding = asyncio.create_task(proposal.wait_for_decision())
        async with collecting(two) as received:
            await wait_until(lambda: "consensus_requested" in received.names)
            await two.vote(proposal.id, "approve")
            await wait_until(lambda: "vote_cast" in received.names)
            await asyncio.sleep(POLLING_WOULD_SHOW_SECONDS)
            await one.vote(proposal.id, "approve")
            await deciding

    assert operations.count("getConsensus") == 2


async def test_proposal_without_votes_expires(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, time_limit():
        proposal = await one.propose(*WORDS, timeout_minutes=1 / 60)

        assert (await proposal.wait_for_decision()).status == "expired"


async def test_wait_for_decision_returns_at_once_when_it_is_decided(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, time_limit():
        proposal = await one.propose(*WORDS)
        await one.vote(proposal.id, "approve")

        assert (await proposal.wait_for_decision()).status == "approved"
        assert (await one.get_consensus(proposal.id)).status == "approved"


async def test_wait_for_decision_ends_at_its_timeout(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two"):
        proposal = await one.propose(*WORDS)
        with pytest.raises(TimeoutError):
            await proposal.wait_for_decision(timeout_seconds=0.1)
        assert proposal.info.status == "pending"


async def test_propose_passes_its_options(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two:
        proposal = await one.propose(
            *WORDS, timeout_minutes=2, electorate="snapshot", proposer_votes=False, floor=0.5
        )
        with pytest.raises(NotEligibleError):
            await one.vote(proposal.id, "approve")
        await two.vote(proposal.id, "approve")
        decided = await proposal.wait_for_decision(timeout_seconds=20)

    assert (decided.electorate, decided.proposer_votes, decided.floor) == ("snapshot", False, 0.5)
    assert (decided.timeout_at - decided.created_at).total_seconds() == 120


async def test_rejected_vote_raises_the_exception_of_its_code(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two, fleet.agent("three") as three:
        proposal = await one.propose(*WORDS)
        await one.vote(proposal.id, "approve")
        again = await one.vote(proposal.id, "approve")
        assert again.vote == "approve"
        with pytest.raises(AlreadyVotedError):
            await one.vote(proposal.id, "reject")
        await two.vote(proposal.id, "approve")
        with pytest.raises(ConsensusClosedError):
            await three.vote(proposal.id, "approve")
        with pytest.raises(ConsensusNotFoundError):
            await one.vote("no-such-request", "approve")
