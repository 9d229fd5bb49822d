"""One agent of the fleet: a program such as users write, on the SDK and nothing below it.

It contends for contacts, sends under the fence of its lease, hears its notifications, and now and then
starts over with the cursor that it kept. What it does wrong on purpose has a name (``Manner``).
"""

import asyncio
import random
import traceback
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from quorate.client import Agent, Lease, LeaseLost
from quorate.client.errors import Conflicted, NotFound, Unavailable
from quorate.domain.shared.records import record
from tests.chaos.fleet.diary import (
    NANOSECONDS_PER_SECOND,
    Began,
    Diary,
    Ended,
    Failed,
    Heard,
    Held,
    How,
    Recovered,
    Relied,
    Sent,
    now,
)

# What an agent does with its time:
# "wanders"    it goes from contact to contact
# "clings"     it takes one contact and keeps it; when it loses it, it takes it again
# "heedless"   it clings, and never asks whether the lease still stands
# "fenceless"  it clings, and once the lease is lost it sends all the same, showing no fence
Manner: TypeAlias = Literal["wanders", "clings", "heedless", "fenceless"]

CLUNG_TO = "contact0@example.com"
TERMS_MINUTES = (1.5 / 60, 3 / 60, 0.5)
CLING_MINUTES = 2 / 60
WAITS_SECONDS = (0.0, 0.0, 1.0, 2.0)
USE_SECONDS = (0.01, 0.4)
PAUSE_SECONDS = (0.01, 0.2)
USES_MAX = 6
LOOK_SECONDS = 0.05
RETRY_SECONDS = 0.1
RECOVER_WAIT_SECONDS = 20.0
PROPOSALS_KNOWN_MAX = 4
# How often, of a hundred turns.
RESTARTS, STALE_SENDS, PROPOSALS, VOTES = 3, 10, 3, 15


@record
class Plan:
    """Who it is, where the service is, and what it is after."""

    name: str
    key: str
    url: str
    nats_url: str | None
    manner: Manner
    contacts: int
    seed: int


class Orders:
    """What the fleet is told from outside."""

    def __init__(self) -> None:
        self.finish = asyncio.Event()  # The faults are over: prove that you work, then rest.
        self.quit = asyncio.Event()


class Member:
    def __init__(self, plan: Plan, folder: Path, orders: Orders) -> None:
        self._plan = plan
        self._orders = orders
        self._diary = Diary(folder, plan.name)
        self._chance = random.Random(f"{plan.seed} {plan.name}")
        self._cursor = 0
        self._proposals: deque[str] = deque(maxlen=PROPOSALS_KNOWN_MAX)

    async def live(self) -> None:
        """One life after the other until it is told to quit; whatever goes wrong is written."""
        try:
            while not self._orders.quit.is_set():
                try:
                    await self._one_life()
                except Unavailable:  # Nobody answered for longer than the SDK tries.
                    await asyncio.sleep(RETRY_SECONDS)
        except BaseException:  # noqa: BLE001 - a cancellation too: nobody should have asked for it.
            self._failed(traceback.format_exc())
        finally:
            self._diary.close()

    async def _one_life(self) -> None:
        plan = self._plan
        async with Agent.connect(
            plan.url, plan.key, name=plan.name, nats_url=plan.nats_url, after=self._cursor
        ) as agent:
            self._diary.write(
                Began(
                    at=now(),
                    agent=plan.name,
                    agent_id=agent.id,
                    incarnation=agent.incarnation,
                    after=self._cursor,
                )
            )
            async with asyncio.TaskGroup() as group:
                hearing = group.create_task(self._hear(agent))
                await self._work(agent)
                hearing.cancel()

    async def _work(self, agent: Agent) -> None:
        """Until it feels like starting over, or until it is told to quit."""
        while not self._orders.finish.is_set():
            if self._plan.manner != "wanders":
                await self._cling(agent)
            else:
                await self._turn(agent)
                if self._feels_like(RESTARTS):
                    return
            await asyncio.sleep(self._chance.uniform(*PAUSE_SECONDS))
        await self._recover(agent)
        await self._orders.quit.wait()

    # -- What it hears -----------------------------------------------------------

    async def _hear(self, agent: Agent) -> None:
        """The cursor moves with what was written down: nothing else survives a restart."""
        async for notification in agent.notifications():
            self._diary.write(
                Heard(
                    at=now(),
                    agent=self._plan.name,
                    sequence=notification.sequence,
                    name=notification.name,
                    data=notification.data,
                )
            )
            self._cursor = notification.sequence
            if notification.name == "consensus_requested":
                self._proposals.append(notification.data["requestId"])

    # -- What it does ------------------------------------------------------------

    async def _turn(self, agent: Agent) -> None:
        """One thing; to be refused, to lose a lease and to find nobody there is part of life."""
        try:
            if self._feels_like(PROPOSALS):
                await agent.propose("merge", "kim@example.com", "load", timeout_minutes=5 / 60)
            elif self._proposals and self._feels_like(VOTES):
                await agent.vote(self._chance.choice(self._proposals), "approve")
            else:
                await self._contend(agent)
        except (Conflicted, LeaseLost, NotFound, Unavailable):
            pass

    async def _contend(self, agent: Agent) -> None:
        """Some contacts are more sought after than others, the first most of all."""
        contact = f"contact{int(self._plan.contacts * self._chance.random() ** 2)}@example.com"
        fence = await self._hold(
            agent,
            contact,
            minutes=self._chance.choice(TERMS_MINUTES),
            wait_seconds=self._chance.choice(WAITS_SECONDS),
            uses=self._chance.randint(1, USES_MAX),
        )
        if self._feels_like(STALE_SENDS):
            await self._send(agent, contact, fence)

    async def _hold(
        self, agent: Agent, contact: str, *, minutes: float, wait_seconds: float, uses: int
    ) -> int:
        """Use a lease so many times, each time asking it first; returns its fence."""
        async with agent.lease(
            contact, intent="contend", duration_minutes=minutes, wait_seconds=wait_seconds
        ) as lease:
            self._held(lease, contact)
            try:
                for _ in range(uses):
                    if not self._relies(lease):
                        break
                    await self._send_under(lease, contact)
                    await asyncio.sleep(self._chance.uniform(*USE_SECONDS))
            finally:
                self._ended(lease)
            return lease.fence

    async def _send_under(self, lease: Lease, contact: str) -> None:
        verdict = await lease.request_send()
        self._sent(contact, lease.fence, verdict.id, authorized=verdict.authorized)

    async def _send(self, agent: Agent, contact: str, fence: int) -> None:
        """Under the fence of a lease that is over, as one does who did not notification."""
        verdict = await agent.request_send(contact, fence=fence)
        self._sent(contact, fence, verdict.id, authorized=verdict.authorized)

    async def _recover(self, agent: Agent) -> None:
        """A contact of its own, from asking for it to letting it go."""
        contact = f"own-{self._plan.name}@example.com"
        began = now()
        while True:
            try:
                await self._hold(
                    agent, contact, minutes=0.5, wait_seconds=RECOVER_WAIT_SECONDS, uses=1
                )
                break
            except (Conflicted, LeaseLost, Unavailable):
                await asyncio.sleep(RETRY_SECONDS)
        seconds = (now() - began) / NANOSECONDS_PER_SECOND
        self._diary.write(Recovered(at=now(), agent=self._plan.name, seconds=seconds))

    def _feels_like(self, hundredths: int) -> bool:
        return self._chance.randrange(100) < hundredths

    # -- If it is one to cling -------------------------------------------------------

    async def _cling(self, agent: Agent) -> None:
        """Keep the contact until the lease is lost, or until it is time to finish."""
        mine: Lease | None = None
        try:
            async with agent.lease(
                CLUNG_TO,
                intent="cling",
                duration_minutes=CLING_MINUTES,
                wait_seconds=RECOVER_WAIT_SECONDS,
            ) as lease:
                mine = lease
                self._held(lease, CLUNG_TO)
                if self._plan.manner == "heedless":
                    await self._never_ask(lease)
                while self._relies(lease) and not await self._finishes_within(LOOK_SECONDS):
                    pass
                self._ended(lease)
        except LeaseLost:
            if mine is not None:
                self._ended(mine)
        except (Conflicted, Unavailable):
            pass
        if mine is not None and self._plan.manner == "fenceless":
            verdict = await agent.request_send(CLUNG_TO)
            self._sent(CLUNG_TO, mine.fence, verdict.id, authorized=verdict.authorized)

    async def _never_ask(self, lease: Lease) -> None:
        """What the SDK does to end this is swallowed, as a careless program would."""
        while not self._orders.finish.is_set():
            at = now()
            self._diary.write(Relied(at=at, agent=self._plan.name, lease=lease.id, until=at))
            try:
                await asyncio.sleep(LOOK_SECONDS)
            except asyncio.CancelledError:
                continue

    async def _finishes_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._orders.finish.wait(), seconds)
        return self._orders.finish.is_set()

    # -- What it writes down -----------------------------------------------------

    def _held(self, lease: Lease, contact: str) -> None:
        self._diary.write(
            Held(
                at=now(), agent=self._plan.name, lease=lease.id, contact=contact, fence=lease.fence
            )
        )

    def _relies(self, lease: Lease) -> bool:
        """Whether the lease says that it stands; stamped before it is asked."""
        at = now()
        until = at + round(lease.remaining_seconds * NANOSECONDS_PER_SECOND)
        if not lease.held:
            return False
        self._diary.write(Relied(at=at, agent=self._plan.name, lease=lease.id, until=until))
        return True

    def _ended(self, lease: Lease) -> None:
        how: How = "let go" if lease.held else "lost"
        self._diary.write(Ended(at=now(), agent=self._plan.name, lease=lease.id, how=how))

    def _sent(self, contact: str, fence: int, send: str, *, authorized: bool) -> None:
        self._diary.write(
            Sent(
                at=now(),
                agent=self._plan.name,
                contact=contact,
                fence=fence,
                send=send,
                authorized=authorized,
            )
        )

    def _failed(self, what: str) -> None:
        self._diary.write(Failed(at=now(), agent=self._plan.name, what=what))
