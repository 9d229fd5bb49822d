"""A key says who is calling: an operator, a tenant, one agent, or an auditor.

* The text of a key is ``qk_<key id>_<secret><checksum>``. The secret is 256 random bits, shown
  once; what is stored is its SHA-256. The checksum tells a mistyped key from a refused one
  without a look-up.
* An operator issues any key; a tenant issues keys of its own agents and auditors. A key never
  changes its role, its tenant or its agent. Revoking twice is the same as once.
* An agent's key may be issued before the agent first registers: the agent's id is settled then,
  so that its subjects are known before its first command.
"""

import hashlib
import hmac
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, assert_never

from quorate.domain.identity.tenants import TenantNotFound
from quorate.domain.shared import quotas
from quorate.domain.shared.errors import Forbidden, NotFound
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp

if TYPE_CHECKING:
    from quorate.domain.tenant_state import DecisionContext, TenantState

Role: TypeAlias = Literal["admin", "tenant", "agent", "auditor"]
ROLES: tuple[Role, ...] = ("admin", "tenant", "agent", "auditor")
ISSUED_BY: dict[Role, frozenset[Role]] = {
    "admin": frozenset(ROLES),
    "tenant": frozenset({"agent", "auditor"}),
    "agent": frozenset(),
    "auditor": frozenset(),
}
SYSTEM_ACTOR = "quorate"

# -- The text of a key -------------------------------------------------------

SECRET_BITS = 256
KEY_ID_LENGTH = 16
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH = 43  # 62**43 is the first power of 62 past 2**256.
_CHECKSUM_LENGTH = 6
_KEY_TEXT = re.compile(
    rf"qk_([a-z0-9]{{{KEY_ID_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})"
    rf"([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
KEY_TEXT_LENGTH_MAX = len("qk_") + KEY_ID_LENGTH + 1 + _SECRET_LENGTH + _CHECKSUM_LENGTH


def key_text(key_id: str, random: bytes) -> str:
    """Write the key that is shown once; ``random`` are 32 bytes from the system's generator."""
    secret = _base62(int.from_bytes(random), _SECRET_LENGTH)
    return f"qk_{key_id}_{secret}{_checksum(key_id, secret)}"


def read_key(text: str) -> tuple[str, str] | None:
    """The key's id and its secret, or None for what cannot be a key."""
    if len(text) != KEY_TEXT_LENGTH_MAX or not (found := _KEY_TEXT.fullmatch(text)):
        return None
    key_id, secret, checksum = found.groups()
    if not hmac.compare_digest(checksum, _checksum(key_id, secret)):
        return None
    return key_id, secret


def secret_hash(secret: str) -> str:
    """What is stored of a secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(key_id: str, secret: str) -> str:
    return _base62(zlib.crc32(f"{key_id}_{secret}".encode()), _CHECKSUM_LENGTH)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


# -- Who calls ---------------------------------------------------------------


@record
class Principal:
    """The caller, as its key proves it."""

    key_id: str
    role: Role
    tenant: str
    agent_id: str | None = None
    agent_name: str | None = None

    @property
    def actor(self) -> str:
        """What the log names as the one who asked: the agent, or else the key."""
        return self.agent_id or self.key_id


# -- Commands ----------------------------------------------------------------


@record
class IssueKey:
    caller: Principal
    key_id: str
    role: Role
    secret_hash: str
    agent_name: str | None = None
    new_agent_id: str  # Used only when the name is new to the tenant.


@record
class RevokeKey:
    caller: Principal
    key_id: str


Command: TypeAlias = IssueKey | RevokeKey

# -- Events ------------------------------------------------------------------


@record
class KeyIssued:
    key_id: str
    role: Role
    secret_hash: str
    agent_id: str | None = None
    agent_name: str | None = None


@record
class KeyRevoked:
    key_id: str


Event: TypeAlias = KeyIssued | KeyRevoked


def stream(event: Event) -> str:
    return f"key-{event.key_id}"


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


# -- Refusals ----------------------------------------------------------------


@dataclass(eq=False)
class KeyNotFound(NotFound):
    code: ClassVar[str] = "key_not_found"


@dataclass(eq=False)
class RoleForbidden(Forbidden):
    """This role does not do this."""

    code: ClassVar[str] = "role_forbidden"
    role: Role


# -- Decide ------------------------------------------------------------------


def decide(
    command: Command, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[Event]:
    match command:
        case IssueKey():
            return issue(command, tenant_state, moment)
        case RevokeKey():
            return revoke(command, tenant_state)
        case _:
            assert_never(command)


def issue(
    command: IssueKey, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[Event]:
    if command.role not in ISSUED_BY[command.caller.role]:
        raise RoleForbidden(command.caller.role)
    if tenant_state.tenant is None:
        raise TenantNotFound
    agent_id, agent_name, known = None, None, None
    if command.agent_name is not None:
        known = tenant_state.agent_named(command.agent_name)
        agent_id = known.id if known else command.new_agent_id
        agent_name = known.name if known else command.agent_name
    if command.caller.role != "admin":
        quotas.check("keys", tenant_state.count("keys"), moment)
        if agent_name is not None and known is None:
            quotas.check("agents", tenant_state.count("agents"), moment)
    return [
        KeyIssued(
            key_id=command.key_id,
            role=command.role,
            secret_hash=command.secret_hash,
            agent_id=agent_id,
            agent_name=agent_name,
        )
    ]


def revoke(command: RevokeKey, tenant_state: "TenantState") -> Sequence[Event]:
    key = tenant_state.keys.get(command.key_id)
    if key is None:
        raise KeyNotFound
    if key.role not in ISSUED_BY[command.caller.role]:
        raise RoleForbidden(command.caller.role)
    return [] if key.revoked_at is not None else [KeyRevoked(key_id=key.id)]


def outcome(command: Command, tenant_state: "TenantState") -> Key:
    return tenant_state.keys[command.key_id]


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
            )
        case KeyRevoked():
            assert state is not None
            return Key(
                id=state.id,
                role=state.role,
                secret_hash=state.secret_hash,
                agent_id=state.agent_id,
                agent_name=state.agent_name,
                created_at=state.created_at,
                revoked_at=at,
            )
        case _:
            assert_never(event)
