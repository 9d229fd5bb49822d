"""Agents at work through the SDK, while somebody takes away what they talk to.

Each takes a contact of its own, asks the send gate and gives it back, over and over. Whatever an
agent is raised counts: a command may be tried again, as often as the SDK likes, but not fail.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from quorate.client import Agent

PAUSE_SECONDS = 0.02
GRACE_SECONDS = 40.0  # A call gives up after 30 s.
LOOK_SECONDS = 0.02


class Load:
    """``rounds`` and ``failures`` go on while it lasts."""

    def __init__(self) -> None:
        self.rounds = 0
        self.slowest_seconds = 0.0
        self.failures: list[BaseException] = []
        self._over = asyncio.Event()

    @asynccontextmanager
    async def by(
        self, agents: int, url: str, api_key: str, nats_url: str | None
    ) -> AsyncIterator["Load"]:
        """So many agents, every other one over NATS, if there is any."""
        ways = itertools.cycle([nats_url or "", ""])
        work = [
            asyncio.create_task(self._agent(f"worker-{number}", url, api_key, next(ways)))
            for number in range(agents)
        ]
        try:
            await self.more(agents)
            yield self
        finally:
            self._over.set()
            await asyncio.wait_for(asyncio.gather(*work), GRACE_SECONDS)

    async def more(self, rounds: int) -> None:
        """Return when so many more rounds were made; fail as soon as one has failed."""
        enough = self.rounds + rounds
        async with asyncio.timeout(GRACE_SECONDS):
            while self.rounds < enough:
                assert self.failures == []
                await asyncio.sleep(LOOK_SECONDS)

    async def _agent(self, name: str, url: str, api_key: str, nats_url: str) -> None:
        try:
            async with Agent.connect(url, api_key, name=name, nats_url=nats_url) as agent:
                for number in itertools.count():
                    if self._over.is_set():
                        return
                    began = monotonic()
                    async with agent.lease(f"{name}-{number}@example.com") as lease:
                        assert (await lease.request_send()).authorized
                    self.slowest_seconds = max(self.slowest_seconds, monotonic() - began)
                    self.rounds += 1
                    await asyncio.sleep(PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - the test tells what it was.
            self.failures.append(error)
