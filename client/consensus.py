"""A request for consensus, and waiting for what becomes of it without asking again and again."""

import asyncio
import random

from quorate.client import requests
from quorate.client.agent_context import AgentContext, set_within
from quorate.client.results import ConsensusInfo

# When no notification came, look at the request's own timeout, and a little later.
LATE_SECONDS = 1.0


class Proposal:
    """``info`` is the request as it was seen last."""

    def __init__(self, seat: AgentContext, info: ConsensusInfo) -> None:
        self._seat = seat
        self.info = info

    @property
    def id(self) -> str:
        return self.info.id

    async def look(self) -> ConsensusInfo:
        """The request as it is now."""
        self.info = await self._seat.ask(requests.get_consensus(self.id))
        return self.info

    async def decided(self, within_seconds: float | None = None) -> ConsensusInfo:
        """The request once it is ``approved``, ``rejected`` or ``expired``.

        Woken by the notification of the decision; nothing is polled. Raises TimeoutError when
        ``within_seconds`` have passed (None waits until the request expires, at the latest), and
        Refused or Unavailable when the service cannot be asked.
        """
        async with asyncio.timeout(within_seconds):
            with self._seat.signals.closing(self.id) as closed:
                while (await self.look()).status == "pending":
                    late = LATE_SECONDS * (1 + random.random())  # noqa: S311 - no secret.
                    left = self._seat.seconds_until(self.info.timeout_at)
                    await set_within(closed, left + late)
        return self.info
