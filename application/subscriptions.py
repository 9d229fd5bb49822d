"""Who waits for what: a wake-up, never the thing itself.

* One waits for everything of a tenant (the log) or for what concerns one agent (its notifications), and
  is woken by that alone: a thousand agents that wait in a busy tenant cost nothing until one of
  them is told something.
* Whoever waits is also woken by the end: of the service, or of the key that it came with. All keys
  are looked up together every RECHECK_SECONDS, however many wait.
* There are WAITING_MAX places, and each is free again as soon as its holder has left. A tenant
  gets another one only while more are free than it holds, so that however many wait for one
  tenant, others find some; and OF_ONE_AGENT_MAX wait for what one agent is told.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, TypeAlias

import orjson
import structlog

from quorate.contracts.problems import Problem
from quorate.domain.notifications import EVERYONE, NOTICED_TYPES, concerned
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable

WAITING_MAX = 2_000
OF_ONE_AGENT_MAX = 64
RECHECK_SECONDS = 0.5  # How long one may wait on with a key that was revoked.
RETRY_AFTER_SECONDS = 5
_logger = structlog.get_logger(__name__)

# Those of some keys that are good still.
Standing: TypeAlias = Callable[[Collection[str]], Awaitable[Collection[str]]]


class Subscription:
    """One that waits. ``woken`` is set when there may be news, or when it is over.

    ``key_id`` is empty where no key was shown: on NATS the connection ends with its key.
    """

    __slots__ = ("key_id", "over", "revoked", "woken")

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.woken = asyncio.Event()
        self.over = False
        self.revoked = False

    def end(self) -> None:
        self.over = True
        self.woken.set()


class Subscriptions:
    def __init__(self) -> None:
        self._places: set[Subscription] = set()
        self._of_tenant: Counter[str] = Counter()
        self._of_log: dict[str, set[Subscription]] = {}
        self._of_agents: dict[str, dict[str, set[Subscription]]] = {}  # By tenant, then by agent.
        self.closing = False

    @property
    def taken(self) -> int:
        """How many wait."""
        return len(self._places)

    # -- Waiting -------------------------------------------------------------

    @contextmanager
    def log(self, tenant: str, key_id: str) -> Iterator[Subscription]:
        """A place that is woken whenever something of the tenant was committed."""
        with self._place(tenant, key_id) as place, _among(self._of_log, tenant, place):
            yield place

    @contextmanager
    def notifications(self, tenant: str, agent_id: str, key_id: str) -> Iterator[Subscription]:
        """A place that is woken whenever the agent was told something."""
        if len(self._of_agents.get(tenant, {}).get(agent_id, ())) >= OF_ONE_AGENT_MAX:
            raise _too_many()
        with self._place(tenant, key_id) as place:
            by_agent = self._of_agents.setdefault(tenant, {})
            try:
                with _among(by_agent, agent_id, place):
                    yield place
            finally:
                if not by_agent:
                    self._of_agents.pop(tenant, None)

    @contextmanager
    def _place(self, tenant: str, key_id: str) -> Iterator[Subscription]:
        free = WAITING_MAX - len(self._places)
        if free <= self._of_tenant.get(tenant, 0) or self.closing:
            raise _too_many()
        place = Subscription(key_id)
        self._places.add(place)
        self._of_tenant[tenant] += 1
        try:
            yield place
        finally:
            self._places.discard(place)
            self._of_tenant[tenant] -= 1
            if not self._of_tenant[tenant]:
                del self._of_tenant[tenant]

    # -- Waking --------------------------------------------------------------

    def wake(self, rows: Sequence[RecordedEvent]) -> None:
        """These were committed."""
        if not self._places:
            return
        for row in rows:
            for place in self._of_log.get(row.tenant, ()):
                place.woken.set()
            if row.type in NOTICED_TYPES and (by_agent := self._of_agents.get(row.tenant)):
                _wake_concerned(by_agent, concerned(row.type, orjson.loads(row.data)))

    def close(self) -> None:
        """Let everyone who waits notification that the service ends."""
        self.closing = True
        for place in self._places:
            place.end()

    async def end_revoked(self, standing: Standing) -> NoReturn:
        """End the waiting of those whose key was revoked; ends by being cancelled."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            if not self._places:
                continue
            asked = {place.key_id for place in self._places if place.key_id}
            try:
                good = await standing(asked)
            except DatabaseUnavailable as error:
                _logger.warning("tails.keys_not_checked", error=str(error))
                continue
            for place in self._places:
                if place.key_id in asked and place.key_id not in good:
                    place.revoked = True
                    place.end()


def _too_many() -> Problem:
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem("too_many_streams", "Try again later.", headers=retry)


@contextmanager
def _among(waiting: dict[str, set[Subscription]], name: str, place: Subscription) -> Iterator[None]:
    waiting.setdefault(name, set()).add(place)
    try:
        yield
    finally:
        waiting[name].discard(place)
        if not waiting[name]:
            del waiting[name]


def _wake_concerned(by_agent: dict[str, set[Subscription]], told: Collection[str]) -> None:
    for agent_id in by_agent if EVERYONE in told else told:
        for place in by_agent.get(agent_id, ()):
            place.woken.set()
