"""Valid uses of the asynchronous client: each group, `call` and iterators. Never run."""

from collections.abc import AsyncIterator
from typing import Literal, assert_type

from quorate.client import (
    AgentInfo,
    AgentRef,
    AsyncClient,
    ConsensusInfo,
    EventInfo,
    EventsInfo,
    HeartbeatInfo,
    IssuedKeyInfo,
    KeyInfo,
    LeaseInfo,
    Notification,
    NotificationFeed,
    NotificationPage,
    SendVerdict,
    TenantInfo,
    VoteInfo,
    requests,
)
from quorate.contracts.coordination.leases import GET_LEASE
from quorate.contracts.identity.agents import REGISTER

ME = AgentRef(name="ann")


async def read(client: AsyncClient) -> None:
    assert_type(await client.agents.get("agent_1"), AgentInfo)
    assert_type(await client.agents.list(limit=10), list[AgentInfo])
    assert_type(client.agents.iterate(), AsyncIterator[AgentInfo])
    assert_type(await client.agents.get_config("agent_1"), dict[str, bool | str])
    assert_type(
        await client.leases.list(agent_id="agent_1", contact_email="a@b.c"), list[LeaseInfo]
    )
    assert_type(client.leases.iterate(limit=500), AsyncIterator[LeaseInfo])
    assert_type(await client.consensus.list(status="pending"), list[ConsensusInfo])
    assert_type(await client.consensus.votes("id"), list[VoteInfo])
    assert_type(client.consensus.iterate_votes("id"), AsyncIterator[VoteInfo])
    assert_type(await client.notifications.list(ME, after=0), NotificationPage)
    assert_type(client.notifications.iterate(ME, after=0), AsyncIterator[Notification])
    assert_type(await client.keys.own(), KeyInfo)
    assert_type(client.keys.iterate(), AsyncIterator[KeyInfo])
    assert_type(client.events(after=3, follow=True), AsyncIterator[EventInfo])
    assert_type(await client.events.list(type="VoteCast"), EventsInfo)
    assert_type(client.events.pages(), AsyncIterator[EventsInfo])


async def command(client: AsyncClient) -> None:
    assert_type(await client.agents.register("ann", "outbound"), AgentInfo)
    assert_type(await client.agents.heartbeat(ME), HeartbeatInfo)
    assert_type(await client.leases.acquire(ME, "a@b.c", duration_minutes=5), LeaseInfo)
    assert_type(await client.leases.renew("id", duration_minutes=5), LeaseInfo)
    assert_type((await client.leases.release("id")).released, Literal[True])
    assert_type(await client.send_gate.request(ME, "a@b.c", fence=7), SendVerdict)
    assert_type(await client.consensus.vote(ME, "id", "approve", "why"), VoteInfo)
    assert_type(await client.keys.issue("agent", "ann"), IssuedKeyInfo)
    assert_type(await client.tenants.create("acme"), TenantInfo)
    assert_type(await client.call(REGISTER, {"agentName": "ann"}, idempotency_key="key"), AgentInfo)
    assert_type(await client.call(GET_LEASE, lease_id="id", timeout_seconds=5), LeaseInfo)
    assert_type(await client.execute(requests.get_agent("agent_1")), AgentInfo)


async def follow(client: AsyncClient) -> None:
    async with client.notification_feed(ME, after=3) as feed:
        assert_type(feed, NotificationFeed)
        async for notification in feed.notifications():
            assert_type(notification, Notification)
    async for event in client.events(follow=True):
        assert_type(event.sequence, int)
