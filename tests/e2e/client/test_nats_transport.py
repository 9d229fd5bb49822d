"""A connection that is lost or silent is found out, and commands go another way meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError

from quorate.client import requests
from quorate.client.errors import UnavailableError
from quorate.client.transports.nats import (
    PENDING_NOTIFICATIONS_MAX,
    NatsAddress,
    NatsSession,
    NatsTransport,
)
from quorate.domain.identity.agents import AgentRef

HEARTBEAT = requests.heartbeat(AgentRef(id="agent_1"))


def address(reader: str = "agent_1") -> NatsAddress:
    return NatsAddress(
        url="nats://quorate.test",
        api_key="qk_x",
        tenant_id="tenant-1",
        agent_id="agent_1",
        reader=reader,
    )


class Answering(Client):
    """Connected to somebody who answers like this."""

    def __init__(self, answer: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self._answer = answer

    async def request(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - nats-py's own.
        return await self._answer()


def linked(answer: Callable[[], Awaitable[Any]], reader: str = "agent_1") -> NatsTransport:
    link = NatsTransport(address(reader))
    link._session = NatsSession(Answering(answer))
    return link


async def nobody() -> None:
    raise NoRespondersError


async def silence() -> None:
    await asyncio.Event().wait()


async def test_an_agent_sends_its_commands_this_way_and_a_tenant_does_not() -> None:
    assert linked(nobody).accepts_commands
    assert not linked(nobody, reader="key-1").accepts_commands
    assert not NatsTransport(address()).accepts_commands


async def test_after_a_command_without_an_answer_the_next_ones_go_another_way() -> None:
    link = linked(nobody)
    with pytest.raises(UnavailableError):
        await link.attempt(HEARTBEAT, "key", 10.0, 0.0)

    assert not link.accepts_commands


async def test_a_command_gets_no_more_time_than_there_is() -> None:
    with pytest.raises(UnavailableError):
        await linked(silence).attempt(HEARTBEAT, "key", 0.01, 0.0)


async def test_a_command_under_way_ends_with_its_connection() -> None:
    link = linked(silence)
    session = link.session
    assert session is not None
    asking = asyncio.create_task(link.attempt(HEARTBEAT, "key", 600.0, 0.0))
    await asyncio.sleep(0)
    session.close()
    async with asyncio.timeout(1.0):  # Sooner than a silent server is given up.
        with pytest.raises(UnavailableError):
            await asking


async def test_what_came_before_the_end_is_heard_and_then_the_end() -> None:
    session = NatsSession(Client())
    session._received.put_nowait(type("Message", (), {"data": b"one"})())
    session.close()
    session.close()

    assert [await session.receive() for _ in range(3)] == [b"one", None, None]


async def test_an_end_that_finds_no_room_is_heard_all_the_same() -> None:
    session = NatsSession(Client())
    for _ in range(PENDING_NOTIFICATIONS_MAX):
        session._received.put_nowait(type("Message", (), {"data": b"x"})())
    session.close()
    heard = [await session.receive() for _ in range(PENDING_NOTIFICATIONS_MAX)]

    assert heard[-1] is None
    assert session.overflowed
