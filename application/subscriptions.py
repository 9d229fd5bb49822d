"""Wake long polls and event streams when relevant events are committed.

* A subscription covers all events of a tenant (the log) or the notifications of one agent, and only
  matching events wake it. A thousand idle agents in a busy tenant therefore cost nothing.
* The end of the service and the revocation of its key wake a subscription too. One query every
  RECHECK_SECONDS checks the keys of all subscriptions.
* At most SUBSCRIPTIONS_MAX exist at a time. A tenant gets another one only while more are free than
  it holds, so one tenant never takes them all.
* At most SUBSCRIPTIONS_PER_AGENT_MAX exist for the notifications of one agent.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, TypeAlias

import orjson
import structlog

from quorate.contracts.problems import Problem
from quorate.domain.registry import NOTIFYING_EVENTS, recipients_of
from quorate.domain.shared.notifications import EVERYONE
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable

SUBSCRIPTIONS_MAX = 2_000
SUBSCRIPTIONS_PER_AGENT_MAX = 64
RECHECK_SECONDS = 0.5  # The delay until a revoked key ends its subscriptions.
RETRY_AFTER_SECONDS = 5
_logger = structlog.get_logger(__name__)

# Returns those of the given key ids that are not revoked.
FindActiveKeys: TypeAlias = Callable[[Collection[str]], Awaitable[Collection[str]]]


class Subscription:
    """One waiting poll or stream. ``woken`` is set on new events and when the subscription ends.

    ``key_id`` is empty for requests over NATS: there a revocation closes the connection.
    """

    __slots__ = ("has_ended", "is_revoked", "key_id", "woken")

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.woken = asyncio.Event()
        self.has_ended = False
        self.is_revoked = False

    def end(self) -> None:
        self.has_ended = True
        self.woken.set()


class Subscriptions:
    def __init__(self) -> None:
        self._open: set[Subscription] = set()
        self._count_of_tenant: Counter[str] = Counter()
        self._of_tenant_log: dict[str, set[Subscription]] = {}
        self._of_agents: dict[str, dict[str, set[Subscription]]] = {}  # By tenant, then by agent.
        self.closing = False

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
        """Wake the subscriptions that match the committed events."""
        if not self._open:
            return
        for row in rows:
            for subscription in self._of_tenant_log.get(row.tenant, ()):
                subscription.woken.set()
            if row.type in NOTIFYING_EVENTS and (by_agent := self._of_agents.get(row.tenant)):
                _wake_concerned(by_agent, recipients_of(row.type, orjson.loads(row.data)))

    def close(self) -> None:
        """End all subscriptions, and accept no new ones."""
        self.closing = True
        for subscription in self._open:
            subscription.end()

    async def end_revoked(self, find_active_keys: FindActiveKeys) -> NoReturn:
        """End the subscriptions of revoked keys, until cancelled."""
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


def _wake_concerned(by_agent: dict[str, set[Subscription]], agent_ids: Collection[str]) -> None:
    for agent_id in by_agent if EVERYONE in agent_ids else agent_ids:
        for subscription in by_agent.get(agent_id, ()):
            subscription.woken.set()
