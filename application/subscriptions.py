"""Wake long polls and event streams when relevant events are committed.

* A subscription covers all events of a tenant (the log) or the notifications of one agent, and only
  matching events wake it. A thousand idle agents in a busy tenant therefore cost nothing.
* A subscription receives the matching events themselves, so a stream that has caught up reads
  nothing. All streams share one ``CommittedEvent``, and with it the frames made of the event.
* A subscription keeps PENDING_MAX events and PENDING_BYTES_MAX bytes; a slower stream reads
  the log.
* At most WAKES_AT_ONCE_MAX subscriptions are woken in a turn of the event loop, tenant by tenant,
  so that commands run while a thousand streams are served.
* The end of the service and the end of its key wake a subscription too. One query every
  RECHECK_SECONDS checks the keys of all subscriptions.
* At most SUBSCRIPTIONS_MAX exist at a time. A tenant gets another one only while more are free than
  it holds, so one tenant never takes them all.
* At most SUBSCRIPTIONS_PER_AGENT_MAX exist for the notifications of one agent.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias, TypeVar

import orjson
import structlog

from quorate.application.task_subscriptions import TaskSubscriptions
from quorate.contracts.problems import Problem
from quorate.domain.registry import NOTIFYING_EVENTS, recipients_of
from quorate.domain.shared.notifications import EVERYONE
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable

T = TypeVar("T")

SUBSCRIPTIONS_MAX = 2_000
SUBSCRIPTIONS_PER_AGENT_MAX = 64
PENDING_MAX = 64
PENDING_BYTES_MAX = 64 * 1024
WAKES_AT_ONCE_MAX = 16
RECHECK_SECONDS = 0.5  # The delay until the end of a key ends its subscriptions.
RETRY_AFTER_SECONDS = 5
_logger = structlog.get_logger(__name__)

# Returns those of the given key ids that are valid.
FindActiveKeys: TypeAlias = Callable[[Collection[str]], Awaitable[Collection[str]]]


class CommittedEvent:
    """An event, and what the streams made of it."""

    __slots__ = ("_made", "event")

    def __init__(self, event: RecordedEvent) -> None:
        self.event = event
        self._made: dict[Callable[[RecordedEvent], Any], Any] = {}

    def made(self, make: Callable[[RecordedEvent], T]) -> T:
        """Return what ``make`` returns for the event; all streams share the first result."""
        if make not in self._made:
            self._made[make] = make(self.event)
        result: T = self._made[make]
        return result


class Subscription:
    """One waiting poll or stream. ``woken`` is set on new events and when the subscription ends.

    ``key_id`` is empty for requests over NATS: there a revocation closes the connection.
    """

    __slots__ = (
        *("has_ended", "has_missed", "is_revoked", "key_id", "woken"),
        *("_pending", "_pending_bytes"),
    )

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.woken = asyncio.Event()
        self.has_ended = False
        self.is_revoked = False
        self.has_missed = False  # Events were dropped: read the log.
        self._pending: list[CommittedEvent] = []
        self._pending_bytes = 0

    def add(self, committed: Sequence[CommittedEvent], size: int) -> None:
        """Keep matching events for the stream, or drop all when they are too many.

        ``size`` is their number of bytes. One event is kept at any size.
        """
        if self.has_missed:
            return
        count = len(self._pending) + len(committed)
        self._pending_bytes += size
        if count > PENDING_MAX or (self._pending_bytes > PENDING_BYTES_MAX and count > 1):
            self.take()
            self.has_missed = True
        else:
            self._pending += committed

    def take(self) -> list[CommittedEvent]:
        """Return the events since the last call, in order."""
        taken, self._pending, self._pending_bytes = self._pending, [], 0
        return taken

    def restart(self) -> None:
        """Forget what was kept or missed; call this before a read of the log, which contains it."""
        self.take()
        self.has_missed = False

    def end(self) -> None:
        self.has_ended = True
        self.woken.set()


class Subscriptions:
    def __init__(self) -> None:
        self._open: set[Subscription] = set()
        self._count_of_tenant: Counter[str] = Counter()
        self._of_tenant_log: dict[str, set[Subscription]] = {}
        self._of_agents: dict[str, dict[str, set[Subscription]]] = {}  # By tenant, then by agent.
        self._to_wake: dict[str, dict[Subscription, None]] = {}  # The next tenant is first.
        self._is_waking = False
        self.closing = False
        self.tasks = TaskSubscriptions(self._subscribe)

    @property
    def open_count(self) -> int:
        return len(self._open)

    # -- Waiting -------------------------------------------------------------

    @contextmanager
    def subscribe_to_log(self, tenant: str, key_id: str) -> Iterator[Subscription]:
        """Subscribe to all events of the tenant; raise Problem above the limit."""
        with (
            self._subscribe(tenant, key_id) as subscription,
            _registered(self._of_tenant_log, tenant, subscription),
        ):
            yield subscription

    @contextmanager
    def subscribe_to_notifications(
        self, tenant: str, agent_id: str, key_id: str
    ) -> Iterator[Subscription]:
        """Subscribe to the notifications of the agent; raise Problem above a limit."""
        if len(self._of_agents.get(tenant, {}).get(agent_id, ())) >= SUBSCRIPTIONS_PER_AGENT_MAX:
            raise _too_many_streams()
        with self._subscribe(tenant, key_id) as subscription:
            by_agent = self._of_agents.setdefault(tenant, {})
            try:
                with _registered(by_agent, agent_id, subscription):
                    yield subscription
            finally:
                if not by_agent:
                    self._of_agents.pop(tenant, None)

    @contextmanager
    def _subscribe(self, tenant: str, key_id: str) -> Iterator[Subscription]:
        free = SUBSCRIPTIONS_MAX - len(self._open)
        if free <= self._count_of_tenant.get(tenant, 0) or self.closing:
            raise _too_many_streams()
        subscription = Subscription(key_id)
        self._open.add(subscription)
        self._count_of_tenant[tenant] += 1
        try:
            yield subscription
        finally:
            self._open.discard(subscription)
            self._count_of_tenant[tenant] -= 1
            if not self._count_of_tenant[tenant]:
                del self._count_of_tenant[tenant]

    # -- Waking --------------------------------------------------------------

    def wake(self, rows: Sequence[RecordedEvent]) -> None:
        """Give the committed events to the subscriptions that match, and wake these."""
        if not self._open:
            return
        self.tasks.wake(rows)
        by_tenant: dict[str, list[CommittedEvent]] = {}
        for row in rows:
            if row.tenant in self._of_tenant_log or row.tenant in self._of_agents:
                by_tenant.setdefault(row.tenant, []).append(CommittedEvent(row))
        for tenant, committed in by_tenant.items():
            self._give(tenant, committed)
        if self._to_wake and not self._is_waking:
            self._wake_some()

    def _give(self, tenant: str, committed: Sequence[CommittedEvent]) -> None:
        """Give the events of one tenant to its subscriptions, and queue these for waking."""
        to_wake = self._to_wake.setdefault(tenant, {})
        of_log = self._of_tenant_log.get(tenant, ())
        size = sum(len(one.event.data) for one in committed)
        for subscription in of_log:
            subscription.add(committed, size)
            to_wake[subscription] = None
        if by_agent := self._of_agents.get(tenant):
            for one in committed:
                for subscription in _concerned(by_agent, one.event):
                    subscription.add((one,), len(one.event.data))
                    to_wake[subscription] = None
        if not to_wake:
            del self._to_wake[tenant]

    def _wake_some(self) -> None:
        """Wake some of those that wait for it, and the others in the next turns of the loop."""
        for _ in range(WAKES_AT_ONCE_MAX):
            if not self._to_wake:
                break
            tenant, waiting = next(iter(self._to_wake.items()))
            del self._to_wake[tenant]
            subscription = next(iter(waiting))
            del waiting[subscription]
            subscription.woken.set()
            if waiting:
                self._to_wake[tenant] = waiting  # Behind the other tenants.
        self._is_waking = bool(self._to_wake)
        if self._is_waking:
            asyncio.get_running_loop().call_soon(self._wake_some)

    def read_again(self) -> None:
        """Let all streams read the log: the commits before this moment were not delivered."""
        for subscription in self._open:
            subscription.has_missed = True
            subscription.woken.set()

    def close(self) -> None:
        """End all subscriptions, and accept no new ones."""
        self.closing = True
        for subscription in self._open:
            subscription.end()

    async def end_revoked(self, find_active_keys: FindActiveKeys) -> NoReturn:
        """End the subscriptions of revoked and expired keys, until cancelled."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            if not self._open:
                continue
            key_ids = {subscription.key_id for subscription in self._open if subscription.key_id}
            try:
                valid = await find_active_keys(key_ids)
            except DatabaseUnavailable as error:
                _logger.warning("subscriptions.key_check_failed", error=str(error))
                continue
            for subscription in self._open:
                if subscription.key_id in key_ids and subscription.key_id not in valid:
                    subscription.is_revoked = True
                    subscription.end()


def _too_many_streams() -> Problem:
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem("too_many_streams", "Try again later.", headers=retry)


@contextmanager
def _registered(
    by_name: dict[str, set[Subscription]], name: str, subscription: Subscription
) -> Iterator[None]:
    by_name.setdefault(name, set()).add(subscription)
    try:
        yield
    finally:
        by_name[name].discard(subscription)
        if not by_name[name]:
            del by_name[name]


def _concerned(
    by_agent: Mapping[str, Collection[Subscription]], row: RecordedEvent
) -> Iterator[Subscription]:
    """Yield the subscriptions of the agents that the event notifies."""
    if row.type in NOTIFYING_EVENTS:
        agent_ids = recipients_of(row.type, orjson.loads(row.data))
        for agent_id in by_agent if EVERYONE in agent_ids else agent_ids:
            yield from by_agent.get(agent_id, ())
