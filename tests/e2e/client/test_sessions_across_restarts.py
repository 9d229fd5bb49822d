"""Messages of a session arrive once, in order, across restarts of the service and of NATS."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from quorate.client import Agent
from quorate.contracts.sessions.sessions import LIMIT_MAX
from tests.e2e.client.agent_fleet import (
    TRANSPORTS,
    Fleet,
    TransportName,
    restartable_service,
    time_limit,
)
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.replicas import SharedConfiguration
from tests.e2e.service.service_process import ServiceProcess

# nats-py 2.16 does not close the socket of a lost connection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SECONDS_MAX = 180.0
MESSAGES = 20


class Conversation:
    """Ann sends numbers to the main session of Bob, who receives what arrives."""

    def __init__(self, ann: Agent, bob: Agent) -> None:
        self.ann, self.bob = ann, bob
        self.sent = 0
        self.received: list[object] = []
        self.indexes: list[int] = []
        self.reading = asyncio.create_task(self._receive())

    async def send(self) -> None:
        for _ in range(MESSAGES):
            await self.ann.sessions.send(self.bob.sessions.main, self.sent)
            self.sent += 1

    async def _receive(self) -> None:
        async for message in self.bob.sessions.incoming():
            self.received.append(message.content)
            self.indexes.append(message.index)

    async def wait_for_all(self) -> None:
        await wait_until(
            lambda: self.reading.done() or len(self.received) >= self.sent, SECONDS_MAX
        )
        assert not self.reading.done()

    async def stored(self) -> Sequence[object]:
        page = await self.ann.sessions.history(self.bob.sessions.main, limit=LIMIT_MAX)
        assert page.total_messages == len(page.messages)
        return [message.content for message in page.messages]


@asynccontextmanager
async def conversation(fleet: Fleet) -> AsyncIterator[Conversation]:
    """Check at the end that each message was stored once and arrived once, in order."""
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit(SECONDS_MAX):
        talk = Conversation(ann, bob)
        try:
            yield talk
            await talk.wait_for_all()
            stored = await talk.stored()
        finally:
            talk.reading.cancel()
    expected = list(range(talk.sent))
    assert (stored, talk.received, talk.indexes) == (expected, expected, expected)


async def test_messages_arrive_once_while_nats_is_killed_and_restarted(tmp_path: Path) -> None:
    shared = SharedConfiguration(tmp_path, database_url="")
    keys = shared.secrets / "nats_keys.json"
    options = ("--nats-url", shared.nats.url, "--nats-keys-file", str(keys))
    shared.nats.start()
    try:
        async with restartable_service(tmp_path / "data", *options) as (_, operator):
            fleet = Fleet(await operator.create_tenant(), "nats")
            async with conversation(fleet) as talk:
                await talk.send()
                await talk.wait_for_all()
                await asyncio.gather(talk.send(), asyncio.to_thread(shared.nats.end))
                await talk.send()
                await talk.wait_for_all()  # Without NATS.
                await asyncio.gather(talk.send(), asyncio.to_thread(shared.nats.start))
                await talk.send()
    finally:
        shared.nats.end()


def kill_and_start(service: ServiceProcess) -> None:
    service.kill()
    service.start()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_messages_arrive_once_while_the_service_is_restarted(
    data_dir: Path, transport: TransportName
) -> None:
    async with restartable_service(data_dir) as (service, operator):
        fleet = Fleet(await operator.create_tenant(), transport)
        async with conversation(fleet) as talk:
            await talk.send()
            await asyncio.gather(talk.send(), asyncio.to_thread(service.restart))
            await asyncio.gather(talk.send(), asyncio.to_thread(kill_and_start, service))
            await talk.send()
