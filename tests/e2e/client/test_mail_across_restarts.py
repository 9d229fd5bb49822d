"""Messages and tasks across restarts of the service and of nats-server."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from quorate.client import Agent
from tests.e2e.client.agent_fleet import Fleet, restartable_service, time_limit

# nats-py 2.16 does not close the socket of a lost connection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SECONDS_MAX = 90.0
MESSAGES = 5


async def send_all(agent: Agent, name: str) -> list[str]:
    texts = [f"{name} {number}" for number in range(MESSAGES)]
    for text in texts:
        await agent.mail.send("bob", "Hello", text)
    return texts


async def test_restarts_lose_and_duplicate_no_message(data_dir: Path) -> None:
    async with restartable_service(data_dir) as (service, operator):
        fleet = Fleet(await operator.create_tenant(), "nats")
        async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit(SECONDS_MAX):
            received: list[str | None] = []
            enough = asyncio.Event()

            async def read() -> None:
                async for message in bob.mail.incoming():
                    if message.kind is None:
                        received.append(message.body_text)
                    if len(received) == 3 * MESSAGES:
                        enough.set()

            reading = asyncio.create_task(read())
            task = asyncio.create_task(ann.mail.request("bob", {"id": "t-1"}))
            question = await anext(bob.mail.incoming(kind="TASK"))
            expected = await send_all(ann, "before")
            for pid in service.nats_servers():
                os.kill(pid, signal.SIGKILL)
            expected += await send_all(ann, "while nats-server restarts")
            service.restart()
            await operator.connection.reconnect()
            await bob.mail.reply(question, "done", kind="RESULT")
            expected += await send_all(ann, "after")
            await enough.wait()
            answer = await task
            assert not reading.done()

    assert received == expected
    assert answer.body_text == "done"
