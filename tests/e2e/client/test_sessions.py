"""The sessions of an agent: send, reply, wait, and receive messages as they arrive."""

import asyncio

import pytest

from quorate.client.blocking import Agent as BlockingAgent
from quorate.client.session_rejections import MainSessionKeptError, SessionNotFoundError
from tests.e2e.client.agent_fleet import Fleet, time_limit


async def test_worker_answers_the_messages_that_arrive(fleet: Fleet) -> None:
    async with fleet.agent("Ann") as ann, fleet.agent("bob") as bob, time_limit():

        async def work() -> None:
            async for message in bob.sessions.incoming():
                await bob.sessions.reply(message, f"done: {message.content}")

        worker = asyncio.create_task(work())
        sent = await asyncio.gather(
            *[
                ann.sessions.send(bob.sessions.main, str(number), wait_for_reply=True)
                for number in range(5)
            ]
        )
        worker.cancel()
        page = await ann.sessions.history(bob.sessions.main, limit=100)

    assert [one.result.text for one in sent] == [f"done: {number}" for number in range(5)]
    assert [one.index for one in page.messages] == list(range(10))
    assert {one.sender_id for one in page.messages if one.role == "user"} == {ann.id}
    assert ann.sessions.main == "agent:Ann:main"


async def test_incoming_continues_after_the_last_index(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann:
        async with fleet.agent("bob") as bob, time_limit():
            key = bob.sessions.main
            for number in range(3):
                await ann.sessions.send(key, number)
            incoming = bob.sessions.incoming()
            received = [(await anext(incoming)).content for _ in range(2)]
        await ann.sessions.send(key, 3)
        async with fleet.agent("bob") as bob, time_limit():
            resumed = bob.sessions.incoming(after=1)
            received += [(await anext(resumed)).content for _ in range(2)]
            newer = asyncio.create_task(anext(bob.sessions.incoming()))
            await ann.sessions.send(key, 4)
            assert (await newer).content == 4

    assert received == [0, 1, 2, 3]


async def test_sessions_are_branched_listed_and_deleted(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, time_limit():
        await ann.sessions.send(ann.sessions.main, "first")
        await ann.sessions.send(ann.sessions.main, {"second": True})
        branch = await ann.sessions.branch("other way", fork_point=1)
        keys = [one.key async for one in ann.sessions.iterate("other WAY")]
        await ann.sessions.delete(branch.session_key)
        with pytest.raises(SessionNotFoundError):
            await ann.sessions.history(branch.session_key)
        with pytest.raises(MainSessionKeptError, match="cannot delete the main session"):
            await ann.sessions.delete(ann.sessions.main)

    assert keys == [branch.session_key]
    assert branch.message_count == 1


async def test_blocking_agent_has_the_same_sessions(fleet: Fleet) -> None:
    key = await fleet.get_key("cat")
    await asyncio.to_thread(_use_sessions, fleet.service.url, key)


def _use_sessions(url: str, api_key: str) -> None:
    with BlockingAgent.connect(url, api_key, nats_url="") as cat:
        state = cat.sessions.state("plan")
        state.set("step", None)
        assert (state.get("step", 1), state.get("other", 1)) == (None, 1)
        assert [one.key for one in state.list()] == ["step"]
        assert (state.delete("step"), state.clear()) == (True, 0)
        created = cat.sessions.create(label="Notes")
        cat.sessions.send(created.key, "marker words", context="self")
        (message,) = cat.sessions.history(created.key).messages
        assert (message.role, message.context) == ("assistant", "self")
        assert next(cat.sessions.iterate("notes")).key == created.key
