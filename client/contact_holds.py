"""Which leases of one agent hold a contact within this process, one task at a time. No I/O.

* The service excludes other agents and other processes; it cannot tell two tasks of one agent.
* A lease holds its contact exclusively, from before its request until its block has ended, even if
  it is lost before. Others wait in the order of their arrival.
* Reentrant leases share a contact with each other, and exclude all other leases.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from quorate.contracts.coordination.leases import LeaseInfo

Owner = TypeVar("Owner")


class ContactOwner:
    """The user of one lease; ``info`` returns the lease once it is acquired."""

    def __init__(self, info: Callable[[], LeaseInfo | None]) -> None:
        self.info = info


@dataclass(eq=False)
class _Waiter(Generic[Owner]):
    owner: Owner
    is_shared: bool
    granted: "asyncio.Future[None]"


@dataclass(eq=False)
class _Contact(Generic[Owner]):
    is_shared: bool
    owners: list[Owner] = field(default_factory=list)
    waiters: deque[_Waiter[Owner]] = field(default_factory=deque)

    def admits(self, *, is_shared: bool) -> bool:
        return not self.owners or (is_shared and self.is_shared)


class ContactHolds(Generic[Owner]):
    """The contacts that are held in this process. A contact is removed when it has no owner."""

    def __init__(self) -> None:
        self._contacts: dict[str, _Contact[Owner]] = {}

    def owners(self, contact: str) -> Sequence[Owner]:
        known = self._contacts.get(contact)
        return () if known is None else tuple(known.owners)

    async def hold(self, contact: str, owner: Owner, *, is_shared: bool, seconds: float) -> bool:
        """Hold a contact; return False when others still hold it after ``seconds``."""
        known = self._contacts.setdefault(contact, _Contact(is_shared))
        if known.admits(is_shared=is_shared) and not known.waiters:
            known.is_shared = is_shared
            known.owners.append(owner)
            return True
        if seconds <= 0:
            return False
        waiter = _Waiter(owner, is_shared, asyncio.get_running_loop().create_future())
        known.waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(waiter.granted)
        except TimeoutError:
            return waiter.granted.done()  # The grant may have come at the last moment.
        except asyncio.CancelledError:
            if waiter.granted.done():
                self.free(contact, owner)
            raise
        finally:
            if not waiter.granted.done():
                known.waiters.remove(waiter)
        return True

    def free(self, contact: str, owner: Owner) -> None:
        """Give up a contact, to the next waiters; no effect if the owner does not hold it."""
        known = self._contacts.get(contact)
        if known is None or owner not in known.owners:
            return
        known.owners.remove(owner)
        while known.waiters and known.admits(is_shared=known.waiters[0].is_shared):
            waiter = known.waiters.popleft()
            known.is_shared = waiter.is_shared
            known.owners.append(waiter.owner)
            waiter.granted.set_result(None)
        if not known.owners:
            del self._contacts[contact]
