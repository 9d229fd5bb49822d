"""One agent of the fleet: a typical program that uses only the SDK.

It acquires contacts, sends with the fence of its lease, receives notifications, and sometimes
reconnects with its stored cursor. ``Behaviour`` names the intentional errors.
"""

import asyncio
import random
import traceback
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from quorate.client import Agent, ConsensusRequested, Lease, LeaseLostError
from quorate.client.errors import ConflictError, NotFoundError, UnavailableError
from quorate.domain.shared.records import record
from tests.chaos.fleet.journal import (
    NANOSECONDS_PER_SECOND,
    Acquired,
    Connected,
    Ended,
    EndReason,
    Failed,
    Journal,
    Received,
    Recovered,
    ReliedOn,
    Sent,
    now,
)

# The behaviour of an agent:
# "roaming"         uses one contact after the other
# "persistent"      keeps one contact, and acquires it again after a loss
# "ignores_expiry"  is persistent, but never checks whether its lease is held
# "no_fence"        is persistent, but still sends after a loss, without a fence
Behaviour: TypeAlias = Literal["roaming", "persistent", "ignores_expiry", "no_fence"]

PERSISTENT_CONTACT = "contact0@example.com"
TERMS_MINUTES = (1.5 / 60, 3 / 60, 0.5)
PERSISTENT_MINUTES = 2 / 60
WAITS_SECONDS = (0.0, 0.0, 1.0, 2.0)
USE_SECONDS = (0.01, 0.4)
PAUSE_SECONDS = (0.01, 0.2)
USES_MAX = 6
POLL_SECONDS = 0.05
RETRY_SECONDS = 0.1
RECOVER_WAIT_SECONDS = 20.0
PROPOSALS_KNOWN_MAX = 4
# Probabilities in percent.
RESTARTS, STALE_SENDS, PROPOSALS, VOTES = 3, 10, 3, 15


@record
class Plan:
    """Identity, service addresses and behaviour of an agent."""

    name: str
    key: str
    url: str
    nats_url: str | None
    behaviour: Behaviour
    contacts: int
    seed: int


class Controls:
    """Commands of the test to the fleet."""

    def __init__(self) -> None:
        self.finish = asyncio.Event()  # The faults are over: recover once, then wait.
        self.quit = asyncio.Event()


class Member:
    def __init__(self, plan: Plan, directory: Path, controls: Controls) -> None:
        self._plan = plan
        self._controls = controls
        self._journal = Journal(directory, plan.name)
        self._random = random.Random(f"{plan.seed} {plan.name}")
        self._cursor = 0
        self._proposals: deque[str] = deque(maxlen=PROPOSALS_KNOWN_MAX)

    async def run(self) -> None:
        """Connect again and again until told to quit; record every error."""
        try:
            while not self._controls.quit.is_set():
                try:
                    await self._run_once()
                except UnavailableError:  # No response within the retry time of the SDK.
                    await asyncio.sleep(RETRY_SECONDS)
        except BaseException:  # noqa: BLE001 - also an unexpected cancellation.
            self._record_failed(traceback.format_exc())
        finally:
            self._journal.close()

    async def _run_once(self) -> None:
        plan = self._plan
        async with Agent.connect(
            plan.url,
            plan.key,
            name=plan.name,
            nats_url=plan.nats_url,
            after=self._cursor,
            holder=plan.name,  # It takes over what its earlier connection could not release.
        ) as agent:
            self._journal.write(
                Connected(
                    at=now(),
                    agent=plan.name,
                    agent_id=agent.id,
                    incarnation=agent.incarnation,
                    after=self._cursor,
                )
            )
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(self._listen(agent))
                await self._work(agent)
                listener.cancel()

    async def _work(self, agent: Agent) -> None:
        """Work until a random restart, or until told to quit."""
        while not self._controls.finish.is_set():
            if self._plan.behaviour != "roaming":
                await self._persist(agent)
            else:
                await self._act(agent)
                if self._happens(RESTARTS):
                    return
            await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))
        await self._recover(agent)
        await self._controls.quit.wait()

    # -- Notifications -----------------------------------------------------------

    async def _listen(self, agent: Agent) -> None:
        """Record each notification, then advance the cursor."""
        async for notification in agent.notifications():
            self._journal.write(
                Received(
                    at=now(),
                    agent=self._plan.name,
                    sequence=notification.sequence,
                    name=notification.name,
                    data=notification.raw["data"],
                )
            )
            self._cursor = notification.sequence
            if isinstance(notification.data, ConsensusRequested):
                self._proposals.append(notification.data.request_id)

    # -- Actions -----------------------------------------------------------------

    async def _act(self, agent: Agent) -> None:
        """Do one action; conflicts, lost leases and unavailability are expected."""
        try:
            if self._happens(PROPOSALS):
                await agent.propose("merge", "kim@example.com", "load", timeout_minutes=5 / 60)
            elif self._proposals and self._happens(VOTES):
                await agent.vote(self._random.choice(self._proposals), "approve")
            else:
                await self._contend(agent)
        except (ConflictError, LeaseLostError, NotFoundError, UnavailableError):
            pass

    async def _contend(self, agent: Agent) -> None:
        """Acquire a random contact; contacts with low numbers are more frequent."""
        contact = f"contact{int(self._plan.contacts * self._random.random() ** 2)}@example.com"
        fence = await self._hold(
            agent,
            contact,
            minutes=self._random.choice(TERMS_MINUTES),
            wait_seconds=self._random.choice(WAITS_SECONDS),
            uses=self._random.randint(1, USES_MAX),
        )
        if self._happens(STALE_SENDS):
            await self._send(agent, contact, fence)

    async def _hold(
        self, agent: Agent, contact: str, *, minutes: float, wait_seconds: float, uses: int
    ) -> int:
        """Use a lease ``uses`` times, with a check before each use; return its fence."""
        async with agent.lease(
            contact, intent="contend", duration_minutes=minutes, wait_seconds=wait_seconds
        ) as lease:
            self._record_acquired(lease, contact)
            try:
                for _ in range(uses):
                    if not self._relies_on(lease):
                        break
                    await self._send_under(lease, contact)
                    await asyncio.sleep(self._random.uniform(*USE_SECONDS))
            finally:
                self._record_ended(lease)
            return lease.fence

    async def _send_under(self, lease: Lease, contact: str) -> None:
        decision = await lease.request_send()
        self._record_sent(contact, lease.fence, decision.id, authorized=decision.authorized)

    async def _send(self, agent: Agent, contact: str, fence: int) -> None:
        """Send with the fence of an ended lease, like an agent that missed its end."""
        decision = await agent.request_send(contact, fence=fence)
        self._record_sent(contact, fence, decision.id, authorized=decision.authorized)

    async def _recover(self, agent: Agent) -> None:
        """Acquire, use and release a contact of its own, and record the time."""
        contact = f"own-{self._plan.name}@example.com"
        started = now()
        while True:
            try:
                await self._hold(
                    agent, contact, minutes=0.5, wait_seconds=RECOVER_WAIT_SECONDS, uses=1
                )
                break
            except (ConflictError, LeaseLostError, UnavailableError):
                await asyncio.sleep(RETRY_SECONDS)
        seconds = (now() - started) / NANOSECONDS_PER_SECOND
        self._journal.write(Recovered(at=now(), agent=self._plan.name, seconds=seconds))

    def _happens(self, hundredths: int) -> bool:
        return self._random.randrange(100) < hundredths

    # -- Persistent behaviour ----------------------------------------------------

    async def _persist(self, agent: Agent) -> None:
        """Keep the contact until the lease is lost, or until the end."""
        acquired: Lease | None = None
        try:
            async with agent.lease(
                PERSISTENT_CONTACT,
                intent="persist",
                duration_minutes=PERSISTENT_MINUTES,
                wait_seconds=RECOVER_WAIT_SECONDS,
            ) as lease:
                acquired = lease
                self._record_acquired(lease, PERSISTENT_CONTACT)
                if self._plan.behaviour == "ignores_expiry":
                    await self._ignore_expiry(lease)
                while self._relies_on(lease) and not await self._finishes_within(POLL_SECONDS):
                    pass
                self._record_ended(lease)
        except LeaseLostError:
            if acquired is not None:
                self._record_ended(acquired)
        except (ConflictError, UnavailableError):
            pass
        if acquired is not None and self._plan.behaviour == "no_fence":
            decision = await agent.request_send(PERSISTENT_CONTACT)
            self._record_sent(
                PERSISTENT_CONTACT, acquired.fence, decision.id, authorized=decision.authorized
            )

    async def _ignore_expiry(self, lease: Lease) -> None:
        """Ignore the cancellation by the SDK, like a faulty program."""
        while not self._controls.finish.is_set():
            at = now()
            self._journal.write(ReliedOn(at=at, agent=self._plan.name, lease=lease.id, until=at))
            try:
                await asyncio.sleep(POLL_SECONDS)
            except asyncio.CancelledError:
                continue

    async def _finishes_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._controls.finish.wait(), seconds)
        return self._controls.finish.is_set()

    # -- Journal -----------------------------------------------------------------

    def _record_acquired(self, lease: Lease, contact: str) -> None:
        self._journal.write(
            Acquired(
                at=now(), agent=self._plan.name, lease=lease.id, contact=contact, fence=lease.fence
            )
        )

    def _relies_on(self, lease: Lease) -> bool:
        """Return whether the lease is held; take the timestamp before the check."""
        at = now()
        until = at + round(lease.remaining_seconds * NANOSECONDS_PER_SECOND)
        if not lease.is_held:
            return False
        self._journal.write(ReliedOn(at=at, agent=self._plan.name, lease=lease.id, until=until))
        return True

    def _record_ended(self, lease: Lease) -> None:
        reason: EndReason = "released" if lease.is_held else "lost"
        self._journal.write(Ended(at=now(), agent=self._plan.name, lease=lease.id, reason=reason))

    def _record_sent(self, contact: str, fence: int, send: str, *, authorized: bool) -> None:
        self._journal.write(
            Sent(
                at=now(),
                agent=self._plan.name,
                contact=contact,
                fence=fence,
                send=send,
                authorized=authorized,
            )
        )

    def _record_failed(self, error: str) -> None:
        self._journal.write(Failed(at=now(), agent=self._plan.name, error=error))
