"""An API key identifies the caller: an operator (admin), a tenant, one agent, an auditor, or mail.

* An operator issues any key. A tenant issues keys of its own agents, auditors and mail servers. A
  key never changes its role, its tenant or its agent. A second revocation succeeds and changes
  nothing.
* A key may have an expiry. From that time it is rejected like a revoked one, but no event is
  recorded: it counts against the quota of keys until it is revoked.
* A rotation issues a key with the same role and agent. The old key is revoked at once, or expires
  after an overlap, never later than it would have expired anyway.
* A revocation does not end the agent that the key belongs to, unless it is asked to. Then it ends
  an agent that has no other key.
* The key of an agent may be issued before the agent first registers. The agent's id is chosen then,
  so its subjects are known before its first command.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias, assert_never, get_args

from quorate.domain.identity.agents import (
    AGENTS,
    HELD_LEASES,
    Agent,
    AgentDeregistered,
    find_agent_by_name,
    name_key,
)
from quorate.domain.identity.deregistration import deregister
from quorate.domain.identity.principals import ROLES, Principal, Role
from quorate.domain.identity.tenants import TENANTS, THE_TENANT, TenantNotFound
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Aggregate, Counter, Effect, Reads
from quorate.domain.shared.errors import Conflict, Forbidden, NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp

ISSUED_BY: dict[Role, frozenset[Role]] = {
    "admin": frozenset(ROLES),
    "tenant": frozenset({"agent", "auditor", "mail"}),
    "agent": frozenset(),
    "auditor": frozenset(),
    "mail": frozenset(),
}
EXPIRY_SECONDS_MIN = 60
EXPIRY_SECONDS_MAX = 10 * 365 * 86_400
OVERLAP_SECONDS_MAX = 7 * 86_400
KEYS_OF_AGENT = "keys_of_agent"  # A read of the keys of one agent that are not revoked.

# -- Events ------------------------------------------------------------------


@record
class KeyIssued:
    key_id: str
    role: Role
    secret_hash: str
    agent_id: str | None = None
    agent_name: str | None = None
    expires_at: Timestamp | None = None
    preset: str | None = None


@record
class KeyExpirySet:
    """The key was rotated and expires after the overlap."""

    key_id: str
    expires_at: Timestamp


@record
class KeyRevoked:
    key_id: str
    detail: str | None = None  # Why, if the caller said it.


Event: TypeAlias = KeyIssued | KeyExpirySet | KeyRevoked


# -- State -------------------------------------------------------------------


@record
class Key:
    id: str
    role: Role
    secret_hash: str
    agent_id: str | None
    agent_name: str | None
    created_at: Timestamp
    revoked_at: Timestamp | None = None
    expires_at: Timestamp | None = None
    preset: str | None = None  # What its tools may do; only for the key of an agent.

    def is_valid(self, now: Timestamp) -> bool:
        """Return whether the key is neither revoked nor expired."""
        has_expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not has_expired


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class KeyNotFound(NotFound):
    code, title = "key_not_found", "API key not found"


@dataclass(eq=False)
class PresetNotFound(NotFound):
    """A key for a preset that is misspelt would permit nothing."""

    code, title = "preset_not_found", "Preset not found"
    detail = "preset not found: {name}"
    name: str


@dataclass(eq=False)
class KeyEnded(Conflict):
    """A revoked or expired key cannot be rotated. Issue a key instead."""

    code, title = "key_ended", "The API key is revoked or expired"
    key_id: str


@dataclass(eq=False)
class RoleForbidden(Forbidden):
    """The role of the caller does not allow this operation."""

    code, title = "role_forbidden", "The key's role does not permit this operation"
    role: Role


# -- Commands ----------------------------------------------------------------


@record
class IssueKey:
    caller: Principal
    key_id: str
    role: Role
    secret_hash: str
    agent_name: str | None = None
    new_agent_id: str  # Used only when the name is new to the tenant.
    expires_in_seconds: int | None = None
    preset: str | None = None

    def reads(self) -> Reads:
        agent = AGENTS.by("name", name_key(self.agent_name)) if self.agent_name else ()
        return (*TENANTS.by("id", THE_TENANT), *agent, quotas.COUNTS)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        if self.role not in ISSUED_BY[self.caller.role]:
            raise RoleForbidden(self.caller.role)
        if THE_TENANT not in state[TENANTS]:
            raise TenantNotFound
        agent_id, agent_name, known = None, None, None
        if self.agent_name is not None:
            known = find_agent_by_name(state, self.agent_name)
            agent_id = known.id if known else self.new_agent_id
            agent_name = known.name if known else self.agent_name
        if self.caller.role != "admin":
            quotas.check("keys", state.count("keys"), context.quotas)
            if agent_name is not None and known is None:
                quotas.check("agents", state.count("agents"), context.quotas)
        return [
            KeyIssued(
                key_id=self.key_id,
                role=self.role,
                secret_hash=self.secret_hash,
                agent_id=agent_id,
                agent_name=agent_name,
                expires_at=_expiry(context.now, self.expires_in_seconds),
                preset=self.preset,
            )
        ]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Key:
        return state[API_KEYS][self.key_id]


@record
class RotateKey:
    """Issue a key like an existing one, which is revoked at once or expires after an overlap."""

    caller: Principal
    key_id: str
    agent_id: str | None  # The agent of the key; it is read together with the key.
    new_key_id: str
    secret_hash: str
    overlap_seconds: int = 0
    expires_in_seconds: int | None = None

    def reads(self) -> Reads:
        agent = AGENTS.by("id", self.agent_id) if self.agent_id else ()
        return (*API_KEYS.by("id", self.key_id), *agent, quotas.COUNTS)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        old = state[API_KEYS].get(self.key_id)
        if old is None or old.agent_id != self.agent_id:
            raise KeyNotFound
        if old.role not in ISSUED_BY[self.caller.role]:
            raise RoleForbidden(self.caller.role)
        if not old.is_valid(context.now):
            raise KeyEnded(old.id)
        if self.overlap_seconds and self.caller.role != "admin":
            quotas.check("keys", state.count("keys"), context.quotas)
        issued = KeyIssued(
            key_id=self.new_key_id,
            role=old.role,
            secret_hash=self.secret_hash,
            agent_id=old.agent_id,
            agent_name=old.agent_name,
            expires_at=_expiry(context.now, self.expires_in_seconds),
            preset=old.preset,
        )
        return [issued, *self._end(old, context.now)]

    def _end(self, old: Key, now: Timestamp) -> Sequence[Event]:
        if not self.overlap_seconds:
            return [KeyRevoked(key_id=old.id)]
        end = Timestamp(now + self.overlap_seconds * MILLISECONDS_PER_SECOND)
        if old.expires_at is not None and old.expires_at <= end:
            return []
        return [KeyExpirySet(key_id=old.id, expires_at=end)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Key:
        return state[API_KEYS][self.new_key_id]


@record
class RevokeKey:
    caller: Principal
    key_id: str
    detail: str | None = None

    def reads(self) -> Reads:
        return API_KEYS.by("id", self.key_id)

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        key = state[API_KEYS].get(self.key_id)
        if key is None:
            raise KeyNotFound
        if key.role not in ISSUED_BY[self.caller.role]:
            raise RoleForbidden(self.caller.role)
        if key.revoked_at is not None:
            return []
        return [KeyRevoked(key_id=key.id, detail=self.detail)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Key:
        return state[API_KEYS][self.key_id]


@record
class RevokeKeyAndEndAgent:
    """Revoke the key of an agent, and deregister the agent if it has no other key."""

    caller: Principal
    key_id: str
    agent_id: str  # The agent of the key; it is read together with the key.
    detail: str | None = None

    def reads(self) -> Reads:
        agent = AGENTS.by("id", self.agent_id)
        held, keys = (f"{HELD_LEASES}.id", self.agent_id), (KEYS_OF_AGENT, self.agent_id)
        return (*API_KEYS.by("id", self.key_id), *agent, held, keys)

    def decide(
        self, state: TenantState, context: DecisionContext
    ) -> Sequence[Event | AgentDeregistered]:
        revoke = RevokeKey(caller=self.caller, key_id=self.key_id, detail=self.detail)
        revoked = revoke.decide(state, context)
        agent = state[AGENTS].get(self.agent_id)
        if agent is None or has_key(state, agent.id, context.now, other_than=self.key_id):
            return revoked
        return [*revoked, *deregister(agent, "key_revoked", context.now)]

    def result(self, state: TenantState, _events: Sequence[Event | AgentDeregistered]) -> bool:
        """Return whether the agent is not registered any more."""
        agent = state[AGENTS].get(self.agent_id)
        return agent is None or not agent.is_registered


def has_key(state: TenantState, agent_id: str, now: Timestamp, *, other_than: str = "") -> bool:
    """Return whether an agent has a key that is valid; its keys must be loaded."""
    return any(
        key.agent_id == agent_id and key.is_valid(now) and key.id != other_than
        for key in state[API_KEYS].values()
    )


def _expiry(now: Timestamp, seconds: int | None) -> Timestamp | None:
    return None if seconds is None else Timestamp(now + seconds * MILLISECONDS_PER_SECOND)


# -- Evolve ------------------------------------------------------------------


def evolve(state: Key | None, event: Event, at: Timestamp) -> Key:
    match event:
        case KeyIssued():
            return Key(
                id=event.key_id,
                role=event.role,
                secret_hash=event.secret_hash,
                agent_id=event.agent_id,
                agent_name=event.agent_name,
                created_at=at,
                expires_at=event.expires_at,
                preset=event.preset,
            )
        case KeyExpirySet():
            assert state is not None
            return changed(state, expires_at=event.expires_at)
        case KeyRevoked():
            assert state is not None
            return changed(state, revoked_at=at)
        case _:
            assert_never(event)


def _reserve_agent(state: Agent | None, event: KeyIssued, _at: Timestamp) -> Agent:
    """Reserve the id and the name of an agent that has a key and has not registered yet."""
    if state is not None:
        return state
    assert event.agent_id is not None
    assert event.agent_name is not None
    never = Timestamp(0)
    return Agent(
        id=event.agent_id,
        name=event.agent_name,
        role="",
        incarnation=0,
        registered_at=never,
        last_heartbeat=never,
        active_until=never,
        status="reserved",
    )


API_KEYS: Aggregate[Key] = Aggregate(
    name="key",
    events=get_args(Event),
    stream=lambda event: f"key-{event.key_id}",
    commands=(IssueKey, RotateKey, RevokeKey, RevokeKeyAndEndAgent),
    id_of=attrgetter("key_id"),
    evolve=evolve,
    phase_of=attrgetter("revoked_at"),
    effects=(
        Effect(
            event=KeyIssued,
            aggregate=AGENTS,
            id_of=lambda event: event.agent_id,
            evolve=_reserve_agent,
        ),
    ),
    counters={"keys": Counter(amount=lambda key: 1 if key.revoked_at is None else 0)},
)
