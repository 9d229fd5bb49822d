"""A proposal is decided by votes, and whoever waits for the decision is told, not kept asking."""

import asyncio

import pytest

from quorate.client import (
    AlreadyVotedError,
    ConsensusClosedError,
    ConsensusNotFoundError,
    NotEligibleError,
)
from tests.e2e.client.agent_fleet import Fleet, eventually, hearing, within

TIME_TO_ASK_AGAIN = 0.3  # Whoever polls does so now.
WORDS = ("pause outreach", "ceo@bigcorp.com", "Fatigue scores are high")


@pytest.mark.parametrize(("choice", "status"), [("approve", "approved"), ("reject", "rejected")])
async def test_a_majority_decides(fleet: Fleet, choice: str, status: str) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two, within():
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


async def test_waiting_reads_when_it_begins_and_when_it_is_told(fleet: Fleet) -> None:
    asked: list[str] = []
    async with fleet.agent("one") as one, fleet.agent("two") as two, within():
        proposal = await one.propose(*WORDS)
        answer = one._context.transport.send

        async def counted(request, **rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
            asked.append(request.name)
            return await answer(request, **rest)

        one._context.transport.send = counted  # type: ignore[method-assign]
        deciding = asyncio.create_task(proposal.wait_for_decision())
        async with hearing(two) as heard:
            await eventually(lambda: "consensus_requested" in heard.names)
            await two.vote(proposal.id, "approve")
            await eventually(lambda: "vote_cast" in heard.names)
            await asyncio.sleep(TIME_TO_ASK_AGAIN)
            await one.vote(proposal.id, "approve")
            await deciding

    assert asked.count("getConsensus") == 2


async def test_nobody_votes_and_it_expires(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, within():
        proposal = await one.propose(*WORDS, timeout_minutes=1 / 60)

        assert (await proposal.wait_for_decision()).status == "expired"


async def test_what_is_decided_already_is_told_at_once(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, within():
        proposal = await one.propose(*WORDS)
        await one.vote(proposal.id, "approve")

        assert (await proposal.wait_for_decision()).status == "approved"
        assert (await one.get_consensus(proposal.id)).status == "approved"


async def test_one_waits_no_longer_than_one_wants_to(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two"):
        proposal = await one.propose(*WORDS)
        with pytest.raises(TimeoutError):
            await proposal.wait_for_decision(timeout_seconds=0.1)
        assert proposal.info.status == "pending"


async def test_options_are_those_of_the_service(fleet: Fleet) -> None:
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


async def test_a_vote_that_cannot_be_is_refused_by_its_own_name(fleet: Fleet) -> None:
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
