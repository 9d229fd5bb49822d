"""Notifications across restarts: of the service, of nats-server, and of the agent itself."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from quorate.client import Agent, Notification
from tests.e2e.client.agent_fleet import WAYS, Fleet, Way, eventually, hearing, staying
from tests.e2e.service.http_clients import Agent as Rival
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.notification_readers import everything
from tests.e2e.service.service_process import Running

# nats-py forgets to close the socket that it has lost.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CONTACT = "user@example.com"
QUARRELS = 5


@asynccontextmanager
async def quarrels(fleet: Fleet, agent: Agent) -> AsyncIterator["Quarrels"]:
    """The agent holds a contact that a rival asks for again and again: each time both hear."""
    rival = await fleet.tenant.agent_of("rival")
    async with agent.lease(CONTACT):
        yield Quarrels(rival)


class Quarrels:
    def __init__(self, rival: Rival) -> None:
        self._rival = rival

    async def go_on(self) -> None:
        for _ in range(QUARRELS):
            assert (await self._rival.acquire(self._rival.id, CONTACT)).status_code == 409


async def should_have_heard(fleet: Fleet, agent: Agent, after: int) -> list[int]:
    told = await everything(fleet.tenant, after, agentId=agent.id)
    return [notification["sequence"] for notification in told]


@pytest.mark.parametrize("way", WAYS)
async def test_restarts_of_the_service_and_of_nats_lose_and_repeat_nothing(
    data_dir: Path, way: Way
) -> None:
    async with staying(data_dir) as (service, operator):
        fleet = Fleet(await operator.tenant(), way)
        async with fleet.agent("outreach") as agent:
            began_after = agent.cursor
            async with hearing(agent) as heard, quarrels(fleet, agent) as quarrel:
                await quarrel.go_on()
                service.restart()
                await quarrel.go_on()
                kill_nats(service)
                await quarrel.go_on()
                service.kill()
                service.start()
                await quarrel.go_on()
                expected = await should_have_heard(fleet, agent, began_after)
                await heard.up_to(expected[-1])

                assert heard.sequences == expected
                assert heard.names.count("lease_conflict") == 4 * QUARRELS


async def test_what_is_meant_for_one_and_what_is_meant_for_all_keep_their_order(
    fleet: Fleet,
) -> None:
    async with fleet.agent("outreach") as agent, hearing(agent) as heard:
        began_after = agent.cursor
        async with quarrels(fleet, agent) as quarrel:
            await asyncio.gather(
                *(quarrel.go_on() for _ in range(QUARRELS)),
                *(fleet.tenant.propose(agent.id) for _ in range(QUARRELS * QUARRELS)),
            )
        expected = await should_have_heard(fleet, agent, began_after)
        await heard.up_to(expected[-1])

    assert heard.sequences == expected
    assert {"lease_conflict", "consensus_requested"} <= set(heard.names)


def kill_nats(service: Running) -> None:
    for pid in service.nats_servers():
        os.kill(pid, signal.SIGKILL)


async def test_an_agent_goes_on_where_it_left(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        began_after = agent.cursor
        async with hearing(agent) as heard:
            await fleet.tenant.propose(agent.id)
            await eventually(lambda: bool(heard.notifications))
        last = heard.sequences[-1]
    away = await fleet.tenant.agent_of("somebody")
    await fleet.tenant.propose(away.id)

    async with fleet.agent("outreach", after=last) as again, hearing(again) as later:
        await fleet.tenant.propose(away.id)
        expected = await should_have_heard(fleet, again, last)
        await later.up_to(expected[-1])

    assert later.sequences == expected
    assert later.names[:2] == ["agent_registered", "consensus_requested"]
    assert began_after < last < later.sequences[0]


async def test_an_agent_that_begins_anew_hears_what_is_new(fleet: Fleet) -> None:
    before = await fleet.tenant.agent_of("somebody")
    await fleet.tenant.propose(before.id)
    async with fleet.agent("outreach") as agent, hearing(agent) as heard:
        await fleet.tenant.propose(before.id)
        await eventually(lambda: bool(heard.notifications))

    assert heard.names[0] in {"agent_registered", "consensus_requested"}
    assert heard.names.count("consensus_requested") == 1


async def test_what_came_before_one_began_to_read_is_read_too(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        proposed = await fleet.tenant.propose(agent.id)
        await eventually(lambda: agent.cursor > 0)
        async with hearing(agent) as heard:
            await eventually(lambda: "consensus_requested" in heard.names)

    (notification,) = (one for one in heard.notifications if one.name == "consensus_requested")
    assert notification.data["requestId"] == proposed["id"]
    assert notification.time is not None


async def test_readers_share_one_feed_and_each_reads_it_all(fleet: Fleet) -> None:
    async with (
        fleet.agent("outreach") as agent,
        hearing(agent) as one,
        hearing(agent) as other,
    ):
        await fleet.tenant.propose(agent.id)
        await fleet.tenant.propose(agent.id)
        expected = await should_have_heard(fleet, agent, 0)
        await one.up_to(expected[-1])
        await other.up_to(expected[-1])

    assert one.sequences == other.sequences
    assert len(one.sequences) >= 2


async def test_reading_ends_when_the_agent_leaves(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        reading = asyncio.create_task(all_of(agent))
        await fleet.tenant.propose(agent.id)
        await asyncio.sleep(0)

    assert isinstance(await reading, list)


async def all_of(agent: Agent) -> list[Notification]:
    return [notification async for notification in agent.notifications()]


async def test_tenants_hear_nothing_of_each_other(fleet: Fleet, tenant: Tenant) -> None:
    other = await tenant.operator.tenant()
    stranger = await other.agent_of("stranger")
    async with fleet.agent("outreach") as agent, hearing(agent) as heard:
        await other.propose(stranger.id)
        await fleet.tenant.propose(agent.id)
        await eventually(lambda: bool(heard.notifications))

    assert [one.data.get("agentId") for one in heard.notifications] == [agent.id] * len(
        heard.notifications
    )
