"""The NATS transport detects a lost or silent connection and accepts no commands meanwhile."""

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


class FakeNatsClient(Client):
    """A client whose requests get the given reply."""

    def __init__(self, reply: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self._reply = reply

    async def request(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - the signature of nats-py.
        return await self._reply()


def connected_transport(
    reply: Callable[[], Awaitable[Any]], reader: str = "agent_1"
) -> NatsTransport:
    transport = NatsTransport(address(reader))
    transport._session = NatsSession(FakeNatsClient(reply))
    return transport


async def no_responders() -> None:
    raise NoRespondersError


async def no_reply() -> None:
    await asyncio.Event().wait()


async def test_transport_accepts_commands_only_for_an_agent_key() -> None:
    assert connected_transport(no_responders).accepts_commands
    assert not connected_transport(no_responders, reader="key-1").accepts_commands
    assert not NatsTransport(address()).accepts_commands


async def test_transport_accepts_no_commands_after_a_command_without_a_response() -> None:
    transport = connected_transport(no_responders)
    with pytest.raises(UnavailableError):
        await transport.attempt(HEARTBEAT, "key", 10.0, 0.0)

    assert not transport.accepts_commands


async def test_attempt_ends_at_its_timeout() -> None:
    with pytest.raises(UnavailableError):
        await connected_transport(no_reply).attempt(HEARTBEAT, "key", 0.01, 0.0)


async def test_attempt_ends_when_the_connection_is_lost() -> None:
    transport = connected_transport(no_reply)
    session = transport.session
    assert session is not None
    attempt = asyncio.create_task(transport.attempt(HEARTBEAT, "key", 600.0, 0.0))
    await asyncio.sleep(0)
    session.close()
    async with asyncio.timeout(1.0):  # Shorter than the timeout for a silent server.
        with pytest.raises(UnavailableError):
            await attempt


async def test_closed_session_returns_its_notifications_and_then_none() -> None:
    session = NatsSession(Client())
    session._received.put_nowait(type("Message", (), {"data": b"one"})())
    session.close()
    session.close()

    assert [await session.receive() for _ in range(3)] == [b"one", None, None]


async def test_session_with_a_full_queue_can_be_closed() -> None:
    session = NatsSession(Client())
    for _ in range(PENDING_NOTIFICATIONS_MAX):
        session._received.put_nowait(type("Message", (), {"data": b"x"})())
    session.close()
    received = [await session.receive() for _ in range(PENDING_NOTIFICATIONS_MAX)]

    assert received[-1] is None
    assert session.overflowed
