"""A contact held exclusively while a block runs; when it is lost, the block is cancelled.

* It is renewed when a third of its time is gone, and again until its deadline.
* ``LeaseLost`` is raised from the ``async with`` when the service says that the lease has ended,
  or when the agent's own clock says that it can no longer be relied on (client/lease_validity.py):
  before anyone else can hold the contact. The block is cancelled at its next ``await``; what does
  not await asks ``held``.
* A block that ends by itself after its lease was lost raises ``LeaseLost`` too: some of what it
  did was not protected. An exception of the block's own goes first.
* On the way out the lease is given back, as well as can be; if the service cannot be told, the
  lease ends by itself in time.
"""

import asyncio
import random
from collections.abc import Awaitable
from datetime import datetime
from functools import partial
from math import inf
from types import TracebackType
from typing import Self

from quorate.client import requests
from quorate.client.agent_context import AgentContext, set_within
from quorate.client.background_tasks import log
from quorate.client.cancellation import Interruption
from quorate.client.clock import sleep_until
from quorate.client.errors import CallFailed, LeaseLost, Unavailable
from quorate.client.lease_validity import LeaseValidity, Reason
from quorate.client.rejections import LeaseConflict, LeaseEnded, LeaseNotFound
from quorate.client.results import LeaseInfo, SendVerdict
from quorate.client.waiters import Holding, contact_key

SECONDS_PER_MINUTE = 60.0
RENEWALS_PER_DURATION = 3
JITTER_SHARE = 0.1
RENEWAL_PAUSE_SECONDS_MAX = 1.0
# When no notification said that a contact is free, look when its lease should have ended, and later.
LATE_SECONDS = 0.5
GIVING_BACK = "giving a lease back"
ENDED: dict[str, Reason] = {"released": "released", "expired": "expired", "revoked": "revoked"}


class Lease:
    """Made by ``Agent.lease``; entering it acquires, leaving it releases. Used once.

    ``id``, ``fence``, ``contact_email`` and ``expires_at`` are there once it is acquired.
    ``fence`` only ever grows: hand it to whatever the lease protects, so that a stale holder is
    told from the present one. ``expires_at`` is by the service's clock, for people to read.
    """

    def __init__(
        self,
        seat: AgentContext,
        contact_email: str,
        *,
        intent: str,
        duration_minutes: float,
        wait_seconds: float,
    ) -> None:
        self.contact_email = contact_email
        self._contact = contact_key(contact_email) or contact_email
        self._seat = seat
        self._intent = intent
        self._duration_minutes = duration_minutes
        self._wait_seconds = wait_seconds
        self._info: LeaseInfo | None = None
        self._tenure: LeaseValidity | None = None
        self._given_back = False
        self._interruption: Interruption | None = None
        self._keepers: list[asyncio.Task[None]] = []
        self._holding = Holding(self._ended, self._look)

    # -- What is known of it -------------------------------------------------

    @property
    def info(self) -> LeaseInfo:
        """The lease as the service described it last."""
        if self._info is None:
            raise RuntimeError("the lease is not acquired: enter it with 'async with'")
        return self._info

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def fence(self) -> int:
        return self.info.fence

    @property
    def expires_at(self) -> datetime:
        return self.info.expires_at

    @property
    def held(self) -> bool:
        """Whether the lease can be relied on at this moment; asks the agent's own clock.

        True says that nobody else holds the contact now. A process that was stopped and goes on
        sees False, before anything else of it has run.
        """
        return self._tenure is not None and not self._given_back and self._tenure.held

    @property
    def remaining_seconds(self) -> float:
        """For how long it can be relied on without another renewal; 0 when it is lost."""
        if self._tenure is None or self._given_back:
            return 0.0
        return self._tenure.remaining_seconds

    def check(self) -> None:
        """Raise LeaseLost unless the lease is held: for code that does not await."""
        if not self.held:
            raise self._lost_as()

    # -- What can be done with it --------------------------------------------

    async def request_send(self) -> SendVerdict:
        """Ask the send gate, showing the fence: ``authorized``, or blocked with a ``reason``.

        Raises LeaseLost without asking when the lease is not held.
        """
        self.check()
        return await self._seat.ask(
            requests.request_send(self._seat.who, self.contact_email, fence=self.fence)
        )

    async def renew(self, duration_minutes: float | None = None) -> LeaseInfo:
        """Hold it for ``duration_minutes`` from now (by default, as long as at first).

        Renewals go on in the background anyway. A renewal never shortens. Raises LeaseLost when
        the lease has ended.
        """
        self.check()
        await self._renew_once(duration_minutes)
        self.check()
        return self.info

    async def release(self) -> None:
        """Give it back before the block ends; releasing twice is the same as once.

        Raises Unavailable when it was not answered in time. It goes on in the background then, as
        when whoever waits is cancelled, and until it is answered nobody here takes the contact: it
        would be given the same lease again, and lose it when the release arrives.
        """
        if self._given_back:
            return
        self._given_back = True
        self._end_keepers()
        if not self._seat.signals.let_go(self.id, self._holding):
            return
        releasing = asyncio.ensure_future(self._released())
        try:
            async with asyncio.timeout(self._seat.settings.within_seconds):
                await asyncio.shield(releasing)
        except TimeoutError as error:
            raise Unavailable("the release is not answered yet") from error
        finally:
            if not releasing.done():
                self._seat.background.start(partial(_settled, releasing), GIVING_BACK)

    # -- Entering and leaving ------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.begin()
        self._interruption = Interruption()  # From here on: until then there is no block to end.
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._interruption is not None
        ours = self._interruption.over(kind)
        lost = self.lost
        await self.finish()
        if lost is not None and (ours or error is None):
            raise lost from error

    @property
    def lost(self) -> LeaseLost | None:
        """Why it is lost, if it is."""
        return None if self._given_back or self.held else self._lost_as()

    async def begin(self) -> None:
        """Acquire it, waiting for so long as was asked; raises LeaseConflict or LeaseLost."""
        if self._info is not None:
            raise RuntimeError("a lease is used once: ask the agent for another")
        with self._seat.signals.availability(self._contact) as available:
            until = self._seat.clock() + self._wait_seconds
            while True:
                try:
                    await self._acquire()
                    break
                except LeaseConflict as refused:
                    left = until - self._seat.clock()
                    if left <= 0:
                        raise
                    await set_within(available, min(left, self._fallback_seconds(refused)))
        self._keep()
        if (lost := self.lost) is not None:
            await self.finish()
            raise lost

    async def finish(self) -> None:
        """Give it back if it is still ours to give, within ``settings.leave_seconds``."""
        if self._info is None:
            return
        held = self.held
        self._end_keepers()
        if self._given_back:
            return
        self._given_back = True
        if self._seat.signals.let_go(self.id, self._holding) and not self._over_for_good():
            task = self._seat.background.start(self._give_back, GIVING_BACK)
            if held:
                await self._seat.background.finish({task}, self._seat.settings.leave_seconds)

    def _over_for_good(self) -> bool:
        """The service ended it, or the agent gives back all it has."""
        assert self._tenure is not None
        return self._tenure.lost in {*ENDED, "left"}

    # -- Acquiring -----------------------------------------------------------

    async def _acquire(self) -> None:
        """One attempt. If we are cancelled meanwhile, what it brings is given back."""
        acquiring = asyncio.ensure_future(self._acquired())
        try:
            await asyncio.shield(acquiring)
        except asyncio.CancelledError:
            self._seat.background.start(partial(self._undo, acquiring), GIVING_BACK)
            raise

    async def _acquired(self) -> None:
        """It is known that we rely on it before anybody else's turn comes to give it back."""
        ask = requests.acquire_lease(
            self._seat.who,
            self.contact_email,
            intent=self._intent,
            duration_minutes=self._duration_minutes,
        )
        async with self._seat.turn(
            self._contact, within_seconds=self._seat.settings.within_seconds
        ):
            answered, epoch = await self._seat.ask_actively(ask)
            tenure = LeaseValidity(self._seat.standing, self._seat.clock, epoch)
            tenure.granted(answered.asked_at, self._duration_minutes * SECONDS_PER_MINUTE)
            self._info, self._tenure = answered.result, tenure
            self._seat.signals.hold(self.id, self._holding)

    async def _undo(self, acquiring: "asyncio.Future[None]") -> None:
        try:
            await acquiring
        except CallFailed:
            return
        self._given_back = True
        if self._seat.signals.let_go(self.id, self._holding):
            await self._give_back()

    async def _give_back(self) -> None:
        await _settled(self._released())

    async def _released(self) -> None:
        """Unless another task has meanwhile been granted the same lease and relies on it."""
        async with self._seat.turn(self._contact, within_seconds=inf):
            if self._seat.signals.unheld(self.id):
                await _release(self._seat, self.id)

    def _fallback_seconds(self, refused: LeaseConflict) -> float:
        late = LATE_SECONDS * (1 + random.random())  # noqa: S311 - no secret.
        ends = refused.holder.expires_at if refused.holder is not None else None
        return late if ends is None else self._seat.seconds_until(ends) + late

    # -- Keeping it ----------------------------------------------------------

    def _keep(self) -> None:
        start = self._seat.background.start
        self._keepers = [
            start(self._renewals, "renewing a lease"),
            start(self._deadline, "watching a lease's deadline"),
        ]

    def _end_keepers(self) -> None:
        for task in self._keepers:
            task.cancel()

    async def _deadline(self) -> None:
        """Interrupt the block as soon as the lease cannot be relied on any longer."""
        assert self._tenure is not None
        while self._tenure.held:
            await sleep_until(self._tenure.until, self._seat.clock)
        self._interrupt()

    async def _renewals(self) -> None:
        while self.held:
            third = self._duration_minutes * SECONDS_PER_MINUTE / RENEWALS_PER_DURATION
            pause = third * (1 - JITTER_SHARE * random.random())  # noqa: S311 - no secret.
            await sleep_until(self._seat.clock() + pause, self._seat.clock)
            while self.held:
                try:
                    await self._renew_once()
                    break
                except Unavailable as failure:
                    log.info("no renewal at present: %s", failure)
                except CallFailed as failure:
                    log.warning("no renewal at present: %s", failure)
                await asyncio.sleep(min(RENEWAL_PAUSE_SECONDS_MAX, third / RENEWALS_PER_DURATION))

    async def _renew_once(self, duration_minutes: float | None = None) -> None:
        """Raises CallFailed when it could not be renewed; when it has ended, it is lost."""
        assert self._tenure is not None
        minutes = duration_minutes or self._duration_minutes
        ask = requests.renew_lease(self.id, duration_minutes=minutes)
        within = min(self._tenure.remaining_seconds, self._seat.settings.within_seconds)
        try:
            answered = await self._seat.asker.answer(ask, within_seconds=within)
        except LeaseEnded as refused:
            self._ended(ENDED.get(str(refused.facts.get("leaseStatus")), "expired"))
        except LeaseNotFound:
            self._ended("expired")
        else:
            self._info = answered.result
            self._tenure.granted(answered.asked_at, minutes * SECONDS_PER_MINUTE)

    def _look(self) -> None:
        """Something was missed: ask whether it still stands, which a renewal does."""
        self._seat.background.start(self._look_now, "looking after a lease")

    async def _look_now(self) -> None:
        try:
            if self.held:
                await self._renew_once()
        except CallFailed as failure:
            log.info("no renewal at present: %s", failure)

    # -- Losing it -----------------------------------------------------------

    def _ended(self, reason: Reason) -> None:
        if self._tenure is not None and not self._given_back:
            self._tenure.lose(reason)
            self._interrupt()

    def _interrupt(self) -> None:
        if self._interruption is not None:
            self._interruption.interrupt()

    def _lost_as(self) -> LeaseLost:
        info = self.info
        reason = "released" if self._tenure is None else self._tenure.lost or "released"
        return LeaseLost(reason, info.id, self.contact_email, info.fence)


async def give_back(seat: AgentContext, lease_id: str) -> None:
    """As well as can be."""
    await _settled(_release(seat, lease_id))


async def _release(seat: AgentContext, lease_id: str) -> None:
    """Under one idempotency key until it is answered.

    An attempt that was given up could still arrive, and end what was granted since.
    """
    await seat.ask(requests.release_lease(lease_id), within_seconds=inf)


async def _settled(releasing: Awaitable[None]) -> None:
    try:
        await releasing
    except CallFailed as failure:
        log.info("a lease was not given back and will end by itself: %s", failure)
