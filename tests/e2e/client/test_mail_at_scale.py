"""Many agents in one thread, a long thread, and the most recipients that a message may have."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from quorate.client import Agent
from quorate.domain.mail.addresses import RECIPIENTS_MAX
from tests.e2e.client.agent_fleet import Fleet, time_limit
from tests.e2e.service.http_clients import Tenant

STAGES = 50
REPLIES = 250  # More than two pages.
WRITERS = 5
SECONDS_MAX = 120.0


@pytest.fixture
def fleet(tenant: Tenant) -> Fleet:
    """Over one transport: the numbers are the subject here."""
    return Fleet(tenant, "nats")


async def test_fifty_agents_form_a_ring(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack, time_limit(SECONDS_MAX):
        agents = [
            await stack.enter_async_context(fleet.agent(f"stage-{number}"))
            for number in range(STAGES)
        ]
        followers = [*agents[1:], agents[0]]
        tasks = [
            asyncio.create_task(forward(*pair)) for pair in zip(agents, followers, strict=True)
        ]
        stack.callback(lambda: [task.cancel() for task in tasks])
        sent = await agents[0].mail.send(agents[1].name, "Ring", "1")
        await tasks[0]
        thread = [one async for one in agents[25].mail.iterate_thread(sent.thread_id)]
        page = await agents[25].mail.thread(sent.thread_id, limit=1)

    assert [one.body_text for one in thread] == [f"{number}" for number in range(1, STAGES + 1)]
    assert len(page.participant_addresses) == STAGES


async def forward(agent: Agent, following: Agent) -> None:
    """Forward one message to the next agent of the ring; the first one ends it."""
    async for message in agent.mail.incoming():
        hops = int(message.body_text or "")
        if hops < STAGES:
            text = f"{hops + 1}"
            await agent.mail.send(following.name, "Ring", text, in_reply_to=message)
        return


async def test_long_thread_is_read_in_order(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack, time_limit(SECONDS_MAX):
        writers = [
            await stack.enter_async_context(fleet.agent(f"writer-{number}"))
            for number in range(WRITERS)
        ]
        first = await writers[0].mail.send([one.name for one in writers], "Log", "0")

        async def write(agent: Agent) -> None:
            for number in range(REPLIES // WRITERS):
                text = f"{agent.name} {number}"
                await agent.mail.send("writer-0", "Re: Log", text, in_reply_to=first.message_id)

        await asyncio.gather(*(write(agent) for agent in writers))
        thread = [one async for one in writers[1].mail.iterate_thread(first.thread_id)]
        arrived = []
        async for message in writers[0].mail.incoming(since=0):
            arrived.append(message.sequence)
            if len(arrived) == REPLIES + 1:
                break

    sequences = [one.sequence for one in thread]
    assert sequences == sorted(set(sequences)) == arrived
    for writer in writers:
        texts = [one.body_text for one in thread if one.from_agent_id == writer.id]
        own = [f"{writer.name} {number}" for number in range(REPLIES // WRITERS)]
        assert texts[-len(own) :] == own


async def test_message_reaches_as_many_recipients_as_are_permitted(fleet: Fleet) -> None:
    names = [f"reader-{number}" for number in range(RECIPIENTS_MAX)]
    async with AsyncExitStack() as stack, time_limit():
        readers = [await stack.enter_async_context(fleet.agent(name)) for name in names]
        sent = await readers[0].mail.send(names[:5], "News", "one", cc=names[5:])
        arrived = [await anext(one.mail.incoming()) for one in readers]

    assert {one.message_id for one in arrived} == {sent.message_id}
    assert sent.status == "delivered"
