"""The exclusive lease on a contact while a block runs; the block is cancelled if the lease is lost.

* The background renews the lease when a third of its duration has passed, and retries until the
  lease is no longer valid.
* The ``async with`` raises ``LeaseLostError`` before another agent can hold the contact. The cause
  is a report of the service, or the agent's own clock (client/lease_validity.py).
* The block is cancelled at its next ``await``. Code that does not await checks ``is_held``.
* A block that ends normally after the loss raises ``LeaseLostError`` too, because a part of its
  work was not protected. An exception of the block itself takes precedence.
* The end of the block releases the lease, as a best effort. If the release does not reach the
  service, the lease expires.
* One task at a time holds a contact (client/contact_holds.py), until its block has ended.
"""

import asyncio
import random
from datetime import datetime
from functools import partial
from math import inf
from types import TracebackType
from typing import Self

from quorate.client import requests
from quorate.client.agent_context import AgentContext
from quorate.client.background_tasks import logger
from quorate.client.cancellation import CancelScope
from quorate.client.clock import sleep_until
from quorate.client.contact_holds import ContactOwner
from quorate.client.contact_waiting import acquire_contact
from quorate.client.errors import LeaseLostError, RequestFailedError, UnavailableError
from quorate.client.lease_release import RELEASE_TASK, log_failure, send_release
from quorate.client.lease_validity import (
    LOSS_REASONS_BY_STATUS,
    SECONDS_PER_MINUTE,
    LeaseValidity,
    LossReason,
)
from quorate.client.outages import Outage
from quorate.client.rejections import LeaseEndedError, LeaseNotFoundError
from quorate.client.waiters import LeaseWatcher, contact_key
from quorate.contracts.coordination.leases import LeaseInfo
from quorate.contracts.coordination.send_gate import SendVerdict

RENEWALS_PER_DURATION = 3
JITTER_SHARE = 0.1
RENEWAL_PAUSE_SECONDS_MAX = 1.0


class Lease:
    """The lease on a contact; made by ``Agent.lease``, for one use.

    Entering the block acquires the lease, leaving it releases the lease. ``info``, ``id``,
    ``fence`` and ``expires_at`` raise RuntimeError before.

    ``fence`` is the fencing token, strictly increasing within the tenant. Pass it to the systems
    that the lease protects, so that they can reject a stale holder.
    """

    def __init__(
        self,
        context: AgentContext,
        contact_email: str,
        *,
        intent: str | None,
        duration_minutes: float,
        wait_seconds: float,
        reentrant: bool,
    ) -> None:
        self.contact_email = contact_email
        self._contact = contact_key(contact_email) or contact_email
        self._context = context
        self._intent = intent
        self._duration_minutes = duration_minutes
        self._wait_seconds = wait_seconds
        self._is_reentrant = reentrant
        self._info: LeaseInfo | None = None
        self._validity: LeaseValidity | None = None
        self._is_released = False
        self._cancel_scope: CancelScope | None = None
        self._maintenance: list[asyncio.Task[None]] = []
        self._watcher = LeaseWatcher(self._on_ended, self._verify)
        self._owner = ContactOwner(lambda: self._info)

    # -- State ---------------------------------------------------------------

    def __repr__(self) -> str:
        if self._info is None:
            return f"Lease({self.contact_email!r}, not acquired)"
        is_forked = self._context.process.is_forked
        held = "forked" if is_forked else "held" if self.is_held else "lost"
        state = "released" if self._is_released else held
        return f"Lease({self.contact_email!r}, {state}, id={self.id!r}, fence={self.fence})"

    @property
    def info(self) -> LeaseInfo:
        """The lease as the service described it last."""
        if self._info is None:
            raise RuntimeError("The lease is not acquired: enter it with 'async with'")
        return self._info

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def fence(self) -> int:
        """The fencing token."""
        return self.info.fence

    @property
    def expires_at(self) -> datetime:
        """The end of the lease by the clock of the service, for display only."""
        return self.info.expires_at

    @property
    def is_held(self) -> bool:
        """Whether the lease is guaranteed to be held now, by the agent's own clock.

        True means that no other agent holds the contact. A process that was suspended past the end
        of its lease sees False as soon as it resumes.
        """
        self._context.process.check()
        return self._validity is not None and not self._is_released and self._validity.is_held

    @property
    def remaining_seconds(self) -> float:
        """The seconds for which the lease is held without another renewal; 0 if it is lost."""
        self._context.process.check()
        if self._validity is None or self._is_released:
            return 0.0
        return self._validity.remaining_seconds

    @property
    def loss(self) -> LeaseLostError | None:
        """The reason of the loss, as an exception; None while the lease is held or released."""
        return None if self._is_released or self.is_held else self._loss_error()

    def check(self) -> None:
        """Raise LeaseLostError unless the lease is held. For code that does not await."""
        if not self.is_held:
            raise self._loss_error()

    # -- Operations ----------------------------------------------------------

    async def request_send(self) -> SendVerdict:
        """Request permission from the send gate to contact the person now, with the fencing token.

        A block is a result: see ``authorized`` and ``reason``. Raises LeaseLostError when the lease
        is not held, before or after the request; RejectedError or UnavailableError otherwise.
        """
        self.check()
        verdict = await self._context.execute(
            requests.request_send(self._context.agent_ref, self.contact_email, fence=self.fence)
        )
        if verdict.authorized:
            self.check()
        return verdict

    async def renew(self, duration_minutes: float | None = None) -> LeaseInfo:
        """Extend the lease to ``duration_minutes`` from now; by default its first duration.

        The background renews the lease anyway. A renewal never shortens it.

        Raises LeaseLostError when the lease has ended; RejectedError or UnavailableError when the
        request fails.
        """
        self.check()
        await self._renew_once(duration_minutes)
        self.check()
        return self.info

    async def release(self) -> None:
        """Release the lease before the end of the block. A second call has no effect.

        Raises UnavailableError when the service does not respond in time. The release continues in
        the background then, and after a cancellation. Until its response, this process acquires no
        lease on the same contact, because the late release would end it.
        """
        self._context.process.check()
        if self._is_released:
            return
        self._is_released = True
        self._stop_maintenance()
        if not self._context.waiters.remove_watcher(self.id, self._watcher):
            self._free_contact()
            return
        releasing = asyncio.ensure_future(self._release_if_unused())
        self._free_contact()
        try:
            async with asyncio.timeout(self._context.config.timeout_seconds):
                await asyncio.shield(releasing)
        except TimeoutError as error:
            raise UnavailableError("The service has not answered the release in time") from error
        finally:
            if not releasing.done():
                self._context.background.start(partial(log_failure, releasing), RELEASE_TASK)

    # -- Entering and leaving the block --------------------------------------

    async def __aenter__(self) -> Self:
        await self.acquire()
        self._cancel_scope = CancelScope()  # Only now: before, there is no block to cancel.
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._context.process.is_forked:
            return
        assert self._cancel_scope is not None
        was_cancelled_by_loss = self._cancel_scope.close(kind)
        loss = self.loss
        await self.close()
        if loss is not None and (was_cancelled_by_loss or error is None):
            raise loss from error

    async def acquire(self) -> None:
        """Acquire the lease, waiting for the contact up to ``wait_seconds``.

        Raises LeaseConflictError when the contact is still held, LeaseLostError when the lease
        ended before its response arrived, and other RejectedError or UnavailableError.
        """
        self._context.process.check()
        if self._info is not None:
            raise RuntimeError("A lease is for one use: call agent.lease() again")
        await acquire_contact(
            self._context,
            self._contact,
            self._owner,
            attempt=self._acquire_once,
            is_shared=self._is_reentrant,
            wait_seconds=self._wait_seconds,
        )
        self._start_maintenance()
        if (loss := self.loss) is not None:
            await self.close()
            raise loss

    async def close(self) -> None:
        """Release the lease unless it has ended, within ``config.shutdown_timeout_seconds``.

        Raises nothing: a release that takes longer continues in the background.
        """
        if self._info is None or self._context.process.is_forked:
            return
        was_held = self.is_held
        self._stop_maintenance()
        if self._is_released:
            return
        self._is_released = True
        is_last_user = self._context.waiters.remove_watcher(self.id, self._watcher)
        assert self._validity is not None
        if not is_last_user or not self._validity.needs_release:
            self._free_contact()
            return
        task = self._context.background.start(self._try_release, RELEASE_TASK)
        self._free_contact()
        if was_held:
            seconds = self._context.config.shutdown_timeout_seconds
            await self._context.background.wait({task}, seconds)

    def _free_contact(self) -> None:
        """Let another task have the contact: its lease is another one, after the release task."""
        self._context.holds.free(self._contact, self._owner)

    # -- Acquiring -----------------------------------------------------------

    async def _acquire_once(self) -> None:
        """Try once. A lease that is granted after a cancellation is released."""
        acquiring = asyncio.ensure_future(self._send_acquire())
        try:
            await asyncio.shield(acquiring)
        except asyncio.CancelledError:
            self._context.background.start(partial(self._undo, acquiring), RELEASE_TASK)
            raise

    async def _send_acquire(self) -> None:
        """Acquire and register as a user of the lease, both under the lock of the contact."""
        request = requests.acquire_lease(
            self._context.agent_ref,
            self.contact_email,
            intent=self._intent,
            duration_minutes=self._duration_minutes,
            holder=self._context.holder,
        )
        async with self._context.lock_contact(
            self._contact, timeout_seconds=self._context.config.timeout_seconds
        ):
            try:
                response, epoch = await self._context.send_as_active(request)
            except LeaseEndedError:  # The lease ended before its response arrived.
                response, epoch = await self._context.send_as_active(request)
            validity = LeaseValidity(self._context.liveness, self._context.clock, epoch)
            validity.extend(response.sent_at, self._duration_minutes * SECONDS_PER_MINUTE)
            self._info, self._validity = response.result, validity
            self._context.waiters.add_watcher(self.id, self._watcher)

    async def _undo(self, acquiring: "asyncio.Future[None]") -> None:
        try:
            await acquiring
        except RequestFailedError:
            return
        self._is_released = True
        if self._context.waiters.remove_watcher(self.id, self._watcher):
            await self._try_release()

    async def _try_release(self) -> None:
        await log_failure(self._release_if_unused())

    async def _release_if_unused(self) -> None:
        """Release, unless another task has acquired the same lease meanwhile."""
        async with self._context.lock_contact(self._contact, timeout_seconds=inf):
            if self._context.waiters.is_unused(self.id):
                await send_release(self._context, self.id)

    # -- Renewing ------------------------------------------------------------

    def _start_maintenance(self) -> None:
        start = self._context.background.start
        self._maintenance = [
            start(self._renew_repeatedly, "renewal of a lease"),
            start(self._watch_deadline, "deadline of a lease"),
        ]

    def _stop_maintenance(self) -> None:
        for task in self._maintenance:
            task.cancel()

    async def _watch_deadline(self) -> None:
        """Cancel the block as soon as the lease is no longer guaranteed to be held."""
        assert self._validity is not None
        while self._validity.is_held:
            await sleep_until(self._validity.until, self._context.clock)
        self._cancel_block()

    async def _renew_repeatedly(self) -> None:
        outage = Outage(f"The renewal of the lease on {self.contact_email}")
        while self.is_held:
            interval = self._duration_minutes * SECONDS_PER_MINUTE / RENEWALS_PER_DURATION
            pause = interval * (1 - JITTER_SHARE * random.random())  # noqa: S311 - no secret.
            await sleep_until(self._context.clock() + pause, self._context.clock)
            while self.is_held:
                try:
                    await self._renew_once()
                    outage.record_success()
                    break
                except RequestFailedError as failure:
                    outage.record_failure(failure)
                pause = min(RENEWAL_PAUSE_SECONDS_MAX, interval / RENEWALS_PER_DURATION)
                await asyncio.sleep(pause)

    async def _renew_once(self, duration_minutes: float | None = None) -> None:
        """Renew, or record the loss if the lease has ended. Other failures are raised."""
        assert self._validity is not None
        minutes = duration_minutes or self._duration_minutes
        request = requests.renew_lease(
            self.id, duration_minutes=minutes, holder=self._context.holder
        )
        timeout = min(self._validity.remaining_seconds, self._context.config.timeout_seconds)
        try:
            response = await self._context.transport.send(request, timeout_seconds=timeout)
        except LeaseEndedError as rejection:
            status = str(rejection.details.get("leaseStatus"))
            self._on_ended(LOSS_REASONS_BY_STATUS.get(status, "expired"))
        except LeaseNotFoundError:
            self._on_ended("expired")
        else:
            self._info = response.result
            self._validity.extend(response.sent_at, minutes * SECONDS_PER_MINUTE)

    def _verify(self) -> None:
        """Check whether the lease is still active, by a renewal in the background."""
        self._context.background.start(self._verify_now, "verification of a lease")

    async def _verify_now(self) -> None:
        try:
            if self.is_held:
                await self._renew_once()
        except RequestFailedError as failure:
            logger.info("The verification of a lease failed: %s", failure)

    # -- Losing --------------------------------------------------------------

    def _on_ended(self, reason: LossReason) -> None:
        if self._validity is not None and not self._is_released:
            self._validity.mark_lost(reason)
            self._cancel_block()

    def _cancel_block(self) -> None:
        if self._cancel_scope is not None:
            self._cancel_scope.cancel()

    def _loss_error(self) -> LeaseLostError:
        reason = "released" if self._validity is None else self._validity.loss_reason or "released"
        return LeaseLostError(reason, self.id, self.contact_email, self.fence)
