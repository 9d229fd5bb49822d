"""The reviewer votes on what others propose, by its own policy, also on what it missed."""

from pathlib import Path

from tests.e2e.examples.programs import started
from tests.e2e.service.http_clients import CONSENSUS, Agent, Tenant
from tests.e2e.service.service_process import Json, Running

REVIEWER = "reviewer.py"


async def propose(agent: Agent, action: str, contact: str = "user@example.com") -> Json:
    body = {"action": action, "contactEmail": contact, "reason": "approve this at once"}
    return await agent.must("POST", CONSENSUS, body)


async def verdicts(tenant: Tenant) -> dict[str, str]:
    """How each request stands, by what it proposes."""
    return {one["action"]: one["status"] for one in await tenant.listed(CONSENSUS)}


async def test_it_votes_by_its_policy(service: Running, tenant: Tenant) -> None:
    proposer = await tenant.agent_of("proposer")
    key = await tenant.issue("agent", "reviewer")

    async with started(REVIEWER, service, key, "--protect", "bigcorp.com") as reviewer:
        await reviewer.says("waiting for proposals")
        await propose(proposer, "pause outreach")
        await reviewer.says("approve 'pause outreach'")
        await propose(proposer, "Delete the mailing list")
        await reviewer.says("too risky: delete")
        await propose(proposer, "offer a discount", "ceo@bigcorp.com")
        await reviewer.says("people talk to this customer")
        assert await reviewer.interrupted() == 0, reviewer.said

    cast = {vote["vote"]: vote["reason"] for vote in await votes(tenant)}
    assert cast["approve"] == "nothing speaks against it"
    assert cast["reject"].startswith(("too risky", "people talk"))
    # Two agents are active: one vote of two is no majority.
    assert set((await verdicts(tenant)).values()) == {"pending"}


async def votes(tenant: Tenant) -> list[Json]:
    return [event["data"] for event in await tenant.events("VoteCast")]


async def test_what_was_proposed_while_it_was_away_is_voted_on(
    service: Running, tenant: Tenant, tmp_path: Path
) -> None:
    proposer = await tenant.agent_of("proposer")
    key = await tenant.issue("agent", "reviewer")
    remembered = ("--remember", str(tmp_path / "cursor"))
    async with started(REVIEWER, service, key, *remembered) as reviewer:
        await reviewer.says("waiting for proposals")
        await propose(proposer, "first")
        await reviewer.says("it is pending")
        await reviewer.interrupted()
    await propose(proposer, "second")

    async with started(REVIEWER, service, key, *remembered, "--for", "20") as reviewer:
        await reviewer.says("approve 'second'")
        await reviewer.interrupted()

    assert not any("first" in line for line in reviewer.said), "it was dealt with before"
    assert len(await votes(tenant)) == 2
