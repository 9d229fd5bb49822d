"""Wake claims that wait for a task, and readers that wait for a change of one.

* Waiting claims are woken by the commit of an offer, one for each offered task, in the order in
  which they began to wait. A claim that ends before it could take the task passes its turn on.
* They count in the limits of all subscriptions (``application/subscriptions.py``).
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, Protocol, TypeAlias, TypeVar

import orjson

from quorate.domain.sessions.tasks import TASKS
from quorate.eventlog.recorded_event import RecordedEvent


class Wakeable(Protocol):
    """A subscription, as far as it is known here."""

    @property
    def woken(self) -> asyncio.Event: ...


W = TypeVar("W", bound=Wakeable)
Key: TypeAlias = tuple[str, str]  # The tenant, and a preset or a task.
_OFFERS = frozenset({"TaskSubmitted", "TaskOffered"})
_EVENTS = frozenset(event.__name__ for event in TASKS.events)


class TaskSubscriptions(Generic[W]):
    def __init__(self, subscribe: Callable[[str, str], AbstractContextManager[W]]) -> None:
        self._subscribe = subscribe
        self._claims: dict[Key, dict[W, None]] = {}  # By preset, the first is first.
        self._called: dict[W, Key] = {}  # Those whose turn it is.
        self._readers: dict[Key, set[W]] = {}  # By task.

    # -- Waiting -------------------------------------------------------------

    @contextmanager
    def subscribe_to_offers(self, tenant: str, presets: Iterable[str], key_id: str) -> Iterator[W]:
        """Wait for tasks of these presets; raise Problem above the limit."""
        keys = [(tenant, preset) for preset in dict.fromkeys(presets)]
        with self._subscribe(tenant, key_id) as subscription:
            for key in keys:
                self._claims.setdefault(key, {})[subscription] = None
            try:
                yield subscription
            finally:
                for key in keys:
                    waiting = self._claims[key]
                    del waiting[subscription]
                    if not waiting:
                        del self._claims[key]
                if subscription in self._called:
                    self._call_next(self._called.pop(subscription))

    def took(self, subscription: W) -> None:
        """Note that the claim took a task: its turn is over."""
        self._called.pop(subscription, None)

    @contextmanager
    def subscribe_to_task(self, tenant: str, task_id: str, key_id: str) -> Iterator[W]:
        """Wait for events of a task; raise Problem above the limit."""
        key = (tenant, task_id)
        with self._subscribe(tenant, key_id) as subscription:
            readers = self._readers.setdefault(key, set())
            readers.add(subscription)
            try:
                yield subscription
            finally:
                readers.discard(subscription)
                if not readers:
                    self._readers.pop(key, None)

    # -- Waking --------------------------------------------------------------

    def wake(self, rows: Sequence[RecordedEvent]) -> None:
        if not self._claims and not self._readers:
            return
        for row in rows:
            if row.type not in _EVENTS:
                continue
            data = orjson.loads(row.data)
            for reader in self._readers.get((row.tenant, data["taskId"]), ()):
                reader.woken.set()
            if row.type in _OFFERS:
                self._call_next((row.tenant, data["preset"]))

    def _call_next(self, key: Key) -> None:
        """Wake the first claim that was not called yet; else let one that was look again."""
        waiting = self._claims.get(key)
        if not waiting:
            return
        found = next((one for one in waiting if one not in self._called), None)
        if found is None:
            found = next(iter(waiting))
        else:
            self._called[found] = key
        found.woken.set()
