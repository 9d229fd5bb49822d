"""What the parts of one agent share: who it is, how it asks, and until when it is active."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from quorate.client import requests
from quorate.client.background_tasks import Background
from quorate.client.clock import Clock
from quorate.client.config import Settings
from quorate.client.errors import Unavailable
from quorate.client.lease_validity import AgentLiveness
from quorate.client.rejections import AgentInactive
from quorate.client.requests import Ask
from quorate.client.results import HeartbeatInfo
from quorate.client.serialization import Answered
from quorate.client.transports.failover import FailoverTransport
from quorate.client.waiters import Waiters
from quorate.domain.identity.agents import AgentRef

T = TypeVar("T")


class ContactLock:
    """Of one contact, for as long as anybody wants it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0


class AgentContext:
    """One agent's place at the table."""

    def __init__(self, asker: FailoverTransport, clock: Clock, settings: Settings) -> None:
        self.asker = asker
        self.clock = clock
        self.settings = settings
        self.standing = AgentLiveness(clock)
        self.signals = Waiters()
        self.background = Background()
        self._turns: dict[str, ContactLock] = {}
        self.id = ""
        self._heard_at = 0.0
        self._service_time: datetime | None = None

    @property
    def who(self) -> AgentRef:
        return AgentRef(id=self.id)

    @asynccontextmanager
    async def turn(self, contact: str, *, within_seconds: float) -> AsyncIterator[None]:
        """Whoever acquires or gives back a lease of this contact does so alone.

        The service answers a holder who asks again with the lease it has. A release that is still
        on its way would then end what was just granted, so it has to be answered first. Raises
        Unavailable when the turn does not come in time.
        """
        turn = self._turns.setdefault(contact, ContactLock())
        turn.wanted += 1
        try:
            try:
                async with asyncio.timeout(within_seconds):
                    await turn.lock.acquire()
            except TimeoutError as error:
                raise Unavailable("the lease held before is not given back yet") from error
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[contact]

    async def ask(self, ask: Ask[T], *, within_seconds: float | None = None) -> T:
        return await self.asker.result(ask, within_seconds=within_seconds)

    async def ask_actively(self, ask: Ask[T]) -> tuple[Answered[T], int]:
        """Ask what only an active agent may; tells the epoch in which it was asked as well.

        Who asks is alive: where that is in doubt, it is said first.
        """
        if not self.standing.active:
            await self.heartbeat()
        epoch = self.standing.epoch
        try:
            return await self.asker.answer(ask), epoch
        except AgentInactive:
            self.standing.denied()
            await self.heartbeat()
        epoch = self.standing.epoch
        return await self.asker.answer(ask), epoch

    async def heartbeat(self, *, within_seconds: float | None = None) -> HeartbeatInfo:
        """Say that the agent is alive, and believe it as long as the answer allows."""
        ask = requests.heartbeat(self.who)
        answered = await self.asker.answer(ask, within_seconds=within_seconds)
        told = answered.result
        self.confirmed(answered.asked_at, told.last_heartbeat, told.active_until)
        return told

    def confirmed(self, asked_at: float, last_heartbeat: datetime, active_until: datetime) -> None:
        window = (active_until - last_heartbeat).total_seconds()
        self.standing.confirmed(asked_at, window)
        self._heard_at, self._service_time = self.clock(), last_heartbeat

    def seconds_until(self, moment: datetime) -> float:
        """How long until the service's clock shows ``moment``: an estimate, never a deadline."""
        if self._service_time is None:
            return 0.0
        since = self.clock() - self._heard_at
        return max(0.0, (moment - self._service_time).total_seconds() - since)


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set in time; then it is cleared."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
