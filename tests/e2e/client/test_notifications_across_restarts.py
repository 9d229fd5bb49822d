"""Notifications across restarts of the service, of nats-server and of the agent."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from quorate.client import Agent, ConsensusRequested, Notification
from tests.e2e.client.agent_fleet import (
    TRANSPORTS,
    Fleet,
    TransportName,
    collecting,
    restartable_service,
)
from tests.e2e.service.http_clients import Agent as Rival
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.notification_readers import read_all
from tests.e2e.service.service_process import ServiceProcess

# nats-py 2.16 does not close the socket of a lost connection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CONTACT = "user@example.com"
CONFLICTS = 5


@asynccontextmanager
async def provoke_conflicts(fleet: Fleet, agent: Agent) -> AsyncIterator["Conflicts"]:
    """Hold a contact that a rival requests repeatedly; each conflict notifies both agents."""
    rival = await fleet.tenant.create_agent("rival")
    async with agent.lease(CONTACT):
        yield Conflicts(rival)


class Conflicts:
    def __init__(self, rival: Rival) -> None:
        self._rival = rival

    async def provoke(self) -> None:
        for _ in range(CONFLICTS):
            assert (await self._rival.acquire(self._rival.id, CONTACT)).status_code == 409


async def expected_sequences(fleet: Fleet, agent: Agent, after: int) -> list[int]:
    listed = await read_all(fleet.tenant, after, agentId=agent.id)
    return [notification["sequence"] for notification in listed]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_restarts_of_the_service_and_of_nats_lose_and_duplicate_nothing(
    data_dir: Path, transport: TransportName
) -> None:
    async with restartable_service(data_dir) as (service, operator):
        fleet = Fleet(await operator.create_tenant(), transport)
        async with fleet.agent("outreach") as agent:
            began_after = agent.cursor
            async with collecting(agent) as received, provoke_conflicts(fleet, agent) as conflicts:
                await conflicts.provoke()
                service.restart()
                await conflicts.provoke()
                kill_nats(service)
                await conflicts.provoke()
                service.kill()
                service.start()
                await conflicts.provoke()
                expected = await expected_sequences(fleet, agent, began_after)
                await received.wait_for(expected[-1])

                assert received.sequences == expected
                assert received.names.count("lease_conflict") == 4 * CONFLICTS


async def test_notifications_for_one_and_for_all_keep_their_order(
    fleet: Fleet,
) -> None:
    async with fleet.agent("outreach") as agent, collecting(agent) as received:
        began_after = agent.cursor
        async with provoke_conflicts(fleet, agent) as conflicts:
            await asyncio.gather(
                *(conflicts.provoke() for _ in range(CONFLICTS)),
                *(fleet.tenant.propose(agent.id) for _ in range(CONFLICTS * CONFLICTS)),
            )
        expected = await expected_sequences(fleet, agent, began_after)
        await received.wait_for(expected[-1])

    assert received.sequences == expected
    assert {"lease_conflict", "consensus_requested"} <= set(received.names)


def kill_nats(service: ServiceProcess) -> None:
    for pid in service.nats_servers():
        os.kill(pid, signal.SIGKILL)


async def test_restarted_agent_resumes_at_its_cursor(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        began_after = agent.cursor
        async with collecting(agent) as received:
            await fleet.tenant.propose(agent.id)
            await wait_until(lambda: bool(received.notifications))
        last = received.sequences[-1]
    other = await fleet.tenant.create_agent("other")
    await fleet.tenant.propose(other.id)

    async with fleet.agent("outreach", after=last) as again, collecting(again) as later:
        await fleet.tenant.propose(other.id)
        expected = await expected_sequences(fleet, again, last)
        await later.wait_for(expected[-1])

    assert later.sequences == expected
    assert later.names[:3] == ["agent_deregistered", "agent_registered", "consensus_requested"]
    assert began_after < last < later.sequences[0]


async def test_new_agent_gets_new_notifications_only(fleet: Fleet) -> None:
    before = await fleet.tenant.create_agent("other")
    await fleet.tenant.propose(before.id)
    async with fleet.agent("outreach") as agent, collecting(agent) as received:
        await fleet.tenant.propose(before.id)
        await wait_until(lambda: bool(received.notifications))

    assert received.names[0] in {"agent_registered", "consensus_requested"}
    assert received.names.count("consensus_requested") == 1


async def test_reader_gets_notifications_from_before_its_start(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        proposed = await fleet.tenant.propose(agent.id)
        await wait_until(lambda: agent.cursor > 0)
        async with collecting(agent) as received:
            await wait_until(lambda: "consensus_requested" in received.names)

    (notification,) = (one for one in received.notifications if one.name == "consensus_requested")
    assert isinstance(notification.data, ConsensusRequested)
    assert notification.data.request_id == proposed["id"]
    assert notification.time is not None


async def test_each_reader_of_a_feed_gets_all_notifications(fleet: Fleet) -> None:
    async with (
        fleet.agent("outreach") as agent,
        collecting(agent) as one,
        collecting(agent) as other,
    ):
        await fleet.tenant.propose(agent.id)
        await fleet.tenant.propose(agent.id)
        expected = await expected_sequences(fleet, agent, 0)
        await one.wait_for(expected[-1])
        await other.wait_for(expected[-1])

    assert one.sequences == other.sequences
    assert len(one.sequences) >= 2


async def test_readers_end_when_the_agent_disconnects(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        reading = asyncio.create_task(read_to_end(agent))
        await fleet.tenant.propose(agent.id)
        await asyncio.sleep(0)

    assert isinstance(await reading, list)


async def read_to_end(agent: Agent) -> list[Notification]:
    return [notification async for notification in agent.notifications()]


async def test_tenants_do_not_receive_notifications_of_each_other(
    fleet: Fleet, tenant: Tenant
) -> None:
    other = await tenant.operator.create_tenant()
    foreign_agent = await other.create_agent("foreign-agent")
    async with fleet.agent("outreach") as agent, collecting(agent) as received:
        await other.propose(foreign_agent.id)
        await fleet.tenant.propose(agent.id)
        await wait_until(lambda: bool(received.notifications))

    assert [one.raw["data"].get("agentId") for one in received.notifications] == [agent.id] * len(
        received.notifications
    )
