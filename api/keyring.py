"""Who shows which key: the one place where a key becomes a principal, for HTTP and NATS alike.

A key that was found good is remembered for KEY_SECONDS, by the hash of its whole text and never by
the text. So a revocation counts within that time in every process, without anybody telling it.
"""

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable

from quorate.domain.keys import Principal, read_key, secret_hash
from quorate.projections.reader import KeyRow

KEY_SECONDS = 0.5
KEYS_REMEMBERED_MAX = 10_000


class KeyRing:
    def __init__(
        self,
        look_up: Callable[[str], Awaitable[KeyRow | None]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._monotonic = monotonic
        self._good: dict[bytes, tuple[float, Principal]] = {}

    async def authenticate(self, text: str) -> Principal | None:
        """The principal of a valid key, else None: unknown, revoked and mistyped look the same."""
        digest = hashlib.sha256(text.encode()).digest()
        remembered = self._good.get(digest)
        now = self._monotonic()
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        principal = await self._check(text)
        if principal is None:
            self._good.pop(digest, None)
            return None
        if len(self._good) >= KEYS_REMEMBERED_MAX:
            self._good.clear()
        self._good[digest] = (now + KEY_SECONDS, principal)
        return principal

    def forget(self) -> None:
        """A key was revoked in this process: every key is looked up again."""
        self._good.clear()

    async def _check(self, text: str) -> Principal | None:
        parts = read_key(text)
        if parts is None:
            return None
        key_id, secret = parts
        row = await self._look_up(key_id)
        if row is None or row.key.revoked_at is not None:
            return None
        if not hmac.compare_digest(row.key.secret_hash, secret_hash(secret)):
            return None
        return Principal(
            key_id=key_id,
            role=row.key.role,
            tenant=row.tenant,
            agent_id=row.key.agent_id,
            agent_name=row.key.agent_name,
        )
