"""An agent deregisters at the end of its block, unless another process needs it."""

import asyncio

from quorate.client import Agent, ConsensusCancelled
from tests.e2e.client.agent_fleet import Fleet, collecting
from tests.e2e.service.nats_listener import wait_until


async def status_of(fleet: Fleet, agent: Agent) -> str:
    return str((await fleet.tenant.agent(agent.id))["status"])


async def test_agent_deregisters_when_it_disconnects(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease("user@example.com"):
        pass

    assert await status_of(fleet, agent) == "deregistered"
    assert await fleet.tenant.leases() == []
    async with fleet.agent("outreach") as again:
        assert (again.id, again.incarnation) == (agent.id, 2)
        assert await status_of(fleet, agent) == "active"


async def test_agent_stays_registered_on_request(fleet: Fleet) -> None:
    async with fleet.agent("outreach", stay=True) as agent, agent.lease("user@example.com"):
        pass

    assert await status_of(fleet, agent) == "active"
    assert await fleet.tenant.leases() == []


async def test_older_process_does_not_deregister_a_later_one(fleet: Fleet) -> None:
    older = fleet.agent("outreach")
    agent = await older.__aenter__()
    async with fleet.agent("outreach") as newer:
        await older.__aexit__(None, None, None)
        assert await status_of(fleet, newer) == "active"

    assert await status_of(fleet, agent) == "deregistered"


async def test_process_does_not_end_the_lease_of_another_process(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as older, older.lease("user@example.com") as lease:
        async with fleet.agent("outreach"):
            pass
        assert await status_of(fleet, older) == "active"
        assert (await lease.request_send()).authorized


async def test_agent_that_is_deregistered_while_it_runs_registers_again(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        body = {"agentName": agent.name}
        await fleet.tenant.request_ok("POST", "/v1/agent/deregister", body)
        await agent._register_again()
        assert (await status_of(fleet, agent), agent.incarnation) == ("active", 2)


async def test_waiting_for_a_decision_ends_with_the_cancellation(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, fleet.agent("retention") as other:
        proposal = await agent.propose("pause", "user@example.com", "reason")
        async with collecting(other) as received:
            waiting = asyncio.create_task(proposal.wait_for_decision(timeout_seconds=60))
            voters = {one.name: one.vote for one in await proposal.electorate()}
            await proposal.cancel("solved")
            assert (await waiting).status == "cancelled"
            await wait_until(
                lambda: any(
                    isinstance(one.data, ConsensusCancelled) for one in received.notifications
                )
            )

    assert proposal.info.status == "cancelled"
    assert voters == {"outreach": None, "retention": None}
