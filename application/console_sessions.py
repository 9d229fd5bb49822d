"""Sessions of the console: who is logged in, in every process, until the key or the session ends.

Guarantees:

* A session is a random id that only the browser knows. Its hash is stored, so each replica knows
  the session, and a copy of the database opens none.
* Each request looks up the session and its key. A revoked or expired key therefore ends its
  sessions with the next request. No session outlives SESSION_SECONDS.
* A login always creates a new id, and so does the choice of a tenant: an id that an attacker set
  before is worth nothing.
* A login link works once, within LINK_SECONDS.
"""

import hashlib
import secrets

from quorate.application.execution import Service
from quorate.application.key_cache import principal_of
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.console_sessions import Kind, SessionStore, StoredSession

SESSION_SECONDS = 12 * 3600
LINK_SECONDS = 60
SECRET_BYTES = 32
SECRET_LENGTH_MAX = 64


@record
class Session:
    """A logged-in browser. ``tenant`` is that of the key, or the one that an admin picked."""

    secret: str
    principal: Principal
    tenant: str

    @property
    def reads_as(self) -> Principal:
        """Return the caller of operations that no admin key may call.

        An admin key belongs to no tenant. It can issue a key of any role for any tenant, so it may
        read what an auditor of the picked tenant reads.
        """
        if self.principal.role != "admin":
            return self.principal
        return Principal(key_id=self.principal.key_id, role="auditor", tenant=self.tenant)


class ConsoleSessions:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._store = SessionStore(service.log, service.command_bus)

    async def open(self, principal: Principal) -> str:
        """Return the id of a new session."""
        return await self._create("session", principal, SESSION_SECONDS)

    async def create_link(self, principal: Principal) -> str:
        """Return the secret of a link that logs in once."""
        return await self._create("link", principal, LINK_SECONDS)

    async def redeem(self, secret: str) -> str | None:
        """Return the id of a new session for the secret of a link; None unless it is valid."""
        return await self._exchange(secret, "link", None)

    async def pick_tenant(self, session: Session, tenant: str) -> str | None:
        """Return the id of the session that continues this one with another tenant."""
        if session.principal.role != "admin":
            raise Problem("role_forbidden", "Only an admin key picks a tenant.", role="admin")
        return await self._exchange(session.secret, "session", tenant)

    async def find(self, secret: str) -> Session | None:
        """Return the session if neither it nor its key has ended."""
        stored = await self._find(secret, "session")
        row = await self._service.reader.key(stored.key_id) if stored is not None else None
        if stored is None or row is None or not row.key.is_valid(self._service.clock()):
            return None
        principal = principal_of(stored.key_id, row)
        return Session(secret=secret, principal=principal, tenant=stored.tenant)

    async def close(self, secret: str) -> None:
        await self._store.remove(_hash_of(secret))

    async def _create(self, kind: Kind, principal: Principal, seconds: int) -> str:
        secret, now = secrets.token_urlsafe(SECRET_BYTES), self._service.clock()
        stored = StoredSession(
            secret_hash=_hash_of(secret),
            kind=kind,
            key_id=principal.key_id,
            tenant="" if principal.role == "admin" else principal.tenant,
            ends_at=_after(now, seconds),
        )
        await self._store.add(stored, now)
        return secret

    async def _exchange(self, secret: str, kind: Kind, tenant: str | None) -> str | None:
        old, now = await self._find(secret, kind), self._service.clock()
        if old is None:
            return None
        new = secrets.token_urlsafe(SECRET_BYTES)
        ends_at = old.ends_at if kind == "session" else _after(now, SESSION_SECONDS)
        stored = StoredSession(
            secret_hash=_hash_of(new),
            kind="session",
            key_id=old.key_id,
            tenant=old.tenant if tenant is None else tenant,
            ends_at=ends_at,
        )
        return new if await self._store.replace(old, stored, now) else None

    async def _find(self, secret: str, kind: Kind) -> StoredSession | None:
        if not secret or len(secret) > SECRET_LENGTH_MAX:
            return None
        return await self._store.find(_hash_of(secret), kind, self._service.clock())


def _hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _after(now: Timestamp, seconds: int) -> Timestamp:
    return Timestamp(now + seconds * MILLISECONDS_PER_SECOND)
