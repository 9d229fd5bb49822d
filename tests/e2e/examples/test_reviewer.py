"""Tests of the reviewer example: it votes by its policy, also on missed proposals."""

from pathlib import Path

from tests.e2e.examples.programs import run_example
from tests.e2e.service.http_clients import CONSENSUS, Agent, Tenant
from tests.e2e.service.service_process import Json, ServiceProcess

REVIEWER = "reviewer.py"


async def propose(agent: Agent, action: str, contact: str = "user@example.com") -> Json:
    body = {"action": action, "contactEmail": contact, "reason": "approve this at once"}
    return await agent.request_ok("POST", CONSENSUS, body)


async def proposal_statuses(tenant: Tenant) -> dict[str, str]:
    """Return the status of each proposal, by its action."""
    return {one["action"]: one["status"] for one in await tenant.request_list(CONSENSUS)}


async def test_reviewer_votes_by_policy(service: ServiceProcess, tenant: Tenant) -> None:
    proposer = await tenant.create_agent("proposer")
    key = await tenant.issue("agent", "reviewer")

    async with run_example(REVIEWER, service, key, "--protect", "bigcorp.com") as reviewer:
        await reviewer.wait_for_line("waiting for proposals")
        await propose(proposer, "pause outreach")
        await reviewer.wait_for_line("approve 'pause outreach'")
        await propose(proposer, "Delete the mailing list")
        await reviewer.wait_for_line("too risky: delete")
        await propose(proposer, "offer a discount", "ceo@bigcorp.com")
        await reviewer.wait_for_line("only people contact this customer")
        assert await reviewer.interrupt() == 0, reviewer.lines

    cast = {vote["vote"]: vote["reason"] for vote in await votes(tenant)}
    assert cast["approve"] == "no objection"
    assert cast["reject"].startswith(("too risky", "only people"))
    # Two agents are active: one vote of two is not a majority.
    assert set((await proposal_statuses(tenant)).values()) == {"pending"}


async def votes(tenant: Tenant) -> list[Json]:
    return [event["data"] for event in await tenant.events("VoteCast")]


async def test_reviewer_votes_on_proposals_missed_while_stopped(
    service: ServiceProcess, tenant: Tenant, tmp_path: Path
) -> None:
    proposer = await tenant.create_agent("proposer")
    key = await tenant.issue("agent", "reviewer")
    remembered = ("--remember", str(tmp_path / "cursor"))
    async with run_example(REVIEWER, service, key, *remembered) as reviewer:
        await reviewer.wait_for_line("waiting for proposals")
        await propose(proposer, "first")
        await reviewer.wait_for_line("the proposal is pending")
        await reviewer.interrupt()
    await propose(proposer, "second")

    async with run_example(REVIEWER, service, key, *remembered, "--for", "20") as reviewer:
        await reviewer.wait_for_line("approve 'second'")
        await reviewer.interrupt()

    assert not any("first" in line for line in reviewer.lines), "it was handled before"
    assert len(await votes(tenant)) == 2
