"""SDK agents that work while a test stops and restarts the servers.

Each agent repeats one round: lease a contact, pass the send gate, release the lease. The SDK may
retry a command, but every exception that an agent raises is a failure.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from quorate.client import Agent

PAUSE_SECONDS = 0.02
GRACE_SECONDS = 40.0  # A call times out after 30 s.
POLL_SECONDS = 0.02


class Load:
    """Agents in background tasks; ``rounds`` and ``failures`` are updated while they run."""

    def __init__(self) -> None:
        self.rounds = 0
        self.slowest_seconds = 0.0
        self.failures: list[BaseException] = []
        self._stopped = asyncio.Event()

    @asynccontextmanager
    async def run(
        self, agents: int, url: str, api_key: str, nats_url: str | None
    ) -> AsyncIterator["Load"]:
        """Run this number of agents, every second one over NATS if ``nats_url`` is given."""
        nats_urls = itertools.cycle([nats_url or "", ""])
        work = [
            asyncio.create_task(self._agent(f"worker-{number}", url, api_key, next(nats_urls)))
            for number in range(agents)
        ]
        try:
            await self.wait_for_rounds(agents)
            yield self
        finally:
            self._stopped.set()
            await asyncio.wait_for(asyncio.gather(*work), GRACE_SECONDS)

    async def wait_for_rounds(self, rounds: int) -> None:
        """Return after this number of further rounds; fail at the first failure."""
        target = self.rounds + rounds
        async with asyncio.timeout(GRACE_SECONDS):
            while self.rounds < target:
                assert self.failures == []
                await asyncio.sleep(POLL_SECONDS)

    async def _agent(self, name: str, url: str, api_key: str, nats_url: str) -> None:
        try:
            async with Agent.connect(url, api_key, name=name, nats_url=nats_url) as agent:
                for number in itertools.count():
                    if self._stopped.is_set():
                        return
                    started_at = monotonic()
                    async with agent.lease(f"{name}-{number}@example.com") as lease:
                        assert (await lease.request_send()).authorized
                    self.slowest_seconds = max(self.slowest_seconds, monotonic() - started_at)
                    self.rounds += 1
                    await asyncio.sleep(PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - the test reports it.
            self.failures.append(error)
