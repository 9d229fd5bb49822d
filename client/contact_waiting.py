"""Wait for a contact that another agent, or another process or task of this agent, holds.

* An agent that the service notifies of the end of the lease needs no polling. It asks again a
  moment after the lease of the holder should have ended, in case the notification is lost.
* The service notifies a limited number of agents for each lease. The others ask again after pauses
  that double from PAUSE_SECONDS_MIN to PAUSE_SECONDS_MAX.
* Each pause has a random part, so that agents which wait for one contact do not ask together.
"""

import random
from collections.abc import Awaitable, Callable

from quorate.client.agent_context import AgentContext, wait_for_event
from quorate.client.contact_holds import ContactOwner
from quorate.client.rejections import LeaseConflictError
from quorate.contracts.coordination.leases import HolderInfo
from quorate.domain.coordination.leases import LeaseHeld

FALLBACK_DELAY_SECONDS = 0.5
PAUSE_SECONDS_MIN = 0.5
PAUSE_SECONDS_MAX = 15.0
CONFLICT_STATUS = 409


async def acquire_contact(
    context: AgentContext,
    contact: str,
    owner: ContactOwner,
    *,
    attempt: Callable[[], Awaitable[None]],
    is_shared: bool,
    wait_seconds: float,
) -> None:
    """Hold the contact in this process, then try to acquire it.

    Raises LeaseConflictError when either is not possible within ``wait_seconds``. On success, the
    caller must free the contact: ``context.holds``.
    """
    deadline = context.clock() + wait_seconds
    held = await context.holds.hold(contact, owner, is_shared=is_shared, seconds=wait_seconds)
    if not held:
        raise _conflict_with_task(context, contact)
    try:
        await _acquire_until(deadline, attempt, context, contact)
    except BaseException:
        context.holds.free(contact, owner)
        raise


async def _acquire_until(
    deadline: float, attempt: Callable[[], Awaitable[None]], context: AgentContext, contact: str
) -> None:
    pauses = Pauses(context)
    with context.waiters.contact_available(contact) as available:
        while True:
            try:
                await attempt()
                return
            except LeaseConflictError as conflict:
                remaining = deadline - context.clock()
                if remaining <= 0:
                    raise
                pause = pauses.pause_after(conflict)
            await wait_for_event(available, min(remaining, pause))


class Pauses:
    """The pauses of one acquisition."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._next_pause = PAUSE_SECONDS_MIN

    def pause_after(self, conflict: LeaseConflictError) -> float:
        """Return the seconds until the next request, unless a notification comes before."""
        holder = conflict.holder
        delay = FALLBACK_DELAY_SECONDS * (1 + random.random())  # noqa: S311 - no secret.
        ended = delay + (self._context.seconds_until(holder.expires_at) if holder else 0.0)
        if conflict.will_notify:
            return ended
        pause = self._next_pause * (1 + random.random()) / 2  # noqa: S311 - no secret.
        self._next_pause = min(2 * self._next_pause, PAUSE_SECONDS_MAX)
        return min(pause, ended)


def _conflict_with_task(context: AgentContext, contact: str) -> LeaseConflictError:
    """Return the exception for a contact that another task of this agent holds."""
    problem = {
        "title": LeaseHeld.title,
        "detail": "Another task of this agent holds the contact.",
        "code": LeaseHeld.code,
        "conflict": True,
    }
    infos = [info for owner in context.holds.owners(contact) if (info := owner.info())]
    if infos:
        holder = HolderInfo(
            agent_id=context.agent_id,
            agent_name=context.agent_name,
            expires_at=infos[0].expires_at,
            holder=context.holder,
        )
        problem["leaseHolder"] = holder.raw
    return LeaseConflictError(problem, CONFLICT_STATUS)
