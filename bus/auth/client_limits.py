"""Disconnect clients above their limits, and refuse their logins for a while.

* ``flood``: an agent that sends more than the service reads (bus/flood_guard.py). All connections
  of the agent's keys are closed, because NATS does not tell which one sent a message.
* ``connections``: more than CONNECTIONS_PER_KEY_MAX connections of one key. The newest is closed.
* ``subscriptions``: one connection with more than EQUAL_SUBSCRIPTIONS_MAX subscriptions to one
  subject. The server sends such a client each message several times.
* ``payload``: LARGE_MESSAGES_MAX messages above the server's limit within a few seconds. The server
  itself closes a connection after each of them.

A key that is refused is still valid: over HTTP, and over NATS after the pause. Each process counts
and refuses separately.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeAlias

import structlog
from prometheus_client import CollectorRegistry, Counter

from quorate.bus.auth.connections import CONNECTIONS_PER_KEY_MAX, ConnectedKeys, Excess
from quorate.bus.auth.refusals import Refusals
from quorate.domain.identity.principals import Principal

FLOOD = "flood"
EXCESS_REFUSED_SECONDS = 30.0
AGENTS_KEPT_MAX = 65_536

Agent: TypeAlias = tuple[str, str]  # Its tenant and its id.
# Returns the ids of an agent's keys.
FindAgentKeys: TypeAlias = Callable[[str, str], Awaitable[Collection[str]]]
Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], object]

log = structlog.get_logger(__name__)


class ClientLimits:
    def __init__(
        self,
        connections: ConnectedKeys,
        spawn: Spawn,
        *,
        find_agent_keys: FindAgentKeys | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._connections = connections
        connections.on_excess = self.report_excess
        connections.is_refused = self._is_refused
        self._spawn = spawn
        self._find_agent_keys = find_agent_keys
        self._refusals = Refusals()
        self._flooding_keys = Refusals()  # All connections of these are closed.
        self._keys: OrderedDict[Agent, set[str]] = OrderedDict()  # Of logins, by agent.
        self._disconnected = Counter(
            "quorate_nats_clients_disconnected",
            "NATS clients that were disconnected because of a limit, by reason.",
            ("reason",),
            registry=registry,
        )
        for reason in (FLOOD, *Excess.REASONS):
            self._disconnected.labels(reason)

    def check_login(self, principal: Principal) -> str | None:
        """Return why this key may not connect now; None if it may."""
        agent = principal.tenant, principal.agent_id or ""
        if self._refusals.seconds_left(_name(agent)) or self._refusals.seconds_left(
            principal.key_id
        ):
            return "refused for a while because of its earlier messages or connections"
        if self._connections.count(principal.key_id) >= CONNECTIONS_PER_KEY_MAX:
            return f"too many connections of this key, at most {CONNECTIONS_PER_KEY_MAX}"
        if principal.agent_id is not None:
            self._keys.setdefault(agent, set()).add(principal.key_id)
            self._keys.move_to_end(agent)
            while len(self._keys) > AGENTS_KEPT_MAX:
                self._keys.popitem(last=False)
        return None

    def disconnect_agent(self, tenant: str, agent_id: str, seconds: float) -> None:
        """Close the connections of an agent's keys, and refuse its logins for ``seconds``."""
        if not self._refusals.seconds_left(_name((tenant, agent_id))):
            log.warning(
                "nats.agent_blocked",
                tenant=tenant,
                agent_id=agent_id,
                reason=FLOOD,
                refused_seconds=round(seconds),
            )
        self._refusals.refuse(_name((tenant, agent_id)), seconds)
        self._spawn(self._close_agent((tenant, agent_id), seconds), "disconnect")

    def _is_refused(self, key_id: str) -> bool:
        return bool(self._flooding_keys.seconds_left(key_id))

    async def _close_agent(self, agent: Agent, seconds: float) -> None:
        key_ids = set(self._keys.get(agent, ()))
        await self._close_keys(agent, key_ids, seconds)
        if self._find_agent_keys is None:
            return
        try:  # Another process may have accepted the login.
            found = await self._find_agent_keys(*agent)
        except Exception:
            log.exception("nats.key_lookup_failed")
        else:
            await self._close_keys(agent, set(found) - key_ids, seconds)

    async def _close_keys(self, agent: Agent, key_ids: Collection[str], seconds: float) -> None:
        tenant, agent_id = agent
        for key_id in key_ids:  # First, for a login whose connect event has not arrived yet.
            self._flooding_keys.refuse(key_id, seconds)
        for key_id in await self._connections.close_keys(key_ids):
            self._record(FLOOD, key_id, tenant=tenant, agent_id=agent_id)

    def report_excess(self, excess: Excess) -> None:
        """Record that a client was disconnected because its key has too much of something."""
        if excess.refuses_logins:
            self._refusals.refuse(excess.key_id, EXCESS_REFUSED_SECONDS)
        agent = next((agent for agent, keys in self._keys.items() if excess.key_id in keys), None)
        tenant, agent_id = agent or (None, None)
        self._record(excess.reason, excess.key_id, tenant=tenant, agent_id=agent_id)

    def _record(self, reason: str, key_id: str, **agent: str | None) -> None:
        self._disconnected.labels(reason).inc()
        log.warning("nats.client_disconnected", reason=reason, key_id=key_id, **agent)


def _name(agent: Agent) -> str:
    return "/".join(agent)
