"""A consensus proposal, and waiting for its decision without polling."""

import asyncio
import random

from quorate.client import requests
from quorate.client.agent_context import AgentContext, wait_for_event
from quorate.contracts.coordination.consensus import ConsensusInfo, VoterInfo
from quorate.contracts.wire_models import PAGE_LENGTH_MAX

# Without a notification, the proposal is queried this long after its own timeout, plus jitter.
FALLBACK_DELAY_SECONDS = 1.0


class Proposal:
    """A consensus proposal; made by ``Agent.propose``.

    ``info`` is the proposal as the service described it last.
    """

    def __init__(self, context: AgentContext, info: ConsensusInfo) -> None:
        self._context = context
        self.info = info

    def __repr__(self) -> str:
        return f"Proposal(id={self.id!r}, action={self.info.action!r}, state={self.info.status!r})"

    @property
    def id(self) -> str:
        return self.info.id

    async def refresh(self) -> ConsensusInfo:
        """Query the proposal and update ``info``.

        Raises RejectedError or UnavailableError.
        """
        self.info = await self._context.execute(requests.get_consensus(self.id))
        return self.info

    async def electorate(self) -> list[VoterInfo]:
        """Query who may vote now and who has: ``vote`` is None for an agent that has not voted.

        Raises RejectedError or UnavailableError.
        """
        found: list[VoterInfo] = []
        while True:
            after = found[-1].id if found else None
            request = requests.list_electorate(self.id, after=after, limit=PAGE_LENGTH_MAX)
            page = await self._context.execute(request)
            found += page
            if len(page) < PAGE_LENGTH_MAX:
                return found

    async def cancel(self, reason: str | None = None) -> ConsensusInfo:
        """Cancel the pending proposal; a second cancellation succeeds.

        Raises ConsensusClosedError when it was decided or has expired; other RejectedError or
        UnavailableError when the request fails.
        """
        request = requests.cancel_consensus(self._context.agent_ref, self.id, reason)
        self.info = await self._context.execute(request)
        return self.info

    async def wait_for_decision(self, timeout_seconds: float | None = None) -> ConsensusInfo:
        """Return the proposal when it is ``approved``, ``rejected``, ``expired`` or ``cancelled``.

        The notification of the decision wakes this method; it does not poll. With the default None
        it returns at the latest when the proposal expires.

        Raises TimeoutError after ``timeout_seconds``, and RejectedError or UnavailableError when
        the proposal cannot be queried.
        """
        async with asyncio.timeout(timeout_seconds):
            with self._context.waiters.proposal_closed(self.id) as closed:
                while (await self.refresh()).status == "pending":
                    delay = FALLBACK_DELAY_SECONDS * (1 + random.random())  # noqa: S311 - no secret.
                    remaining = self._context.seconds_until(self.info.timeout_at)
                    await wait_for_event(closed, remaining + delay)
        return self.info
