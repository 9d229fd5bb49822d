"""Who shows which key: the one place where a key becomes a principal, for HTTP and NATS alike.

A key that was found good is remembered for KEY_SECONDS, by the hash of its whole text and never by
the text. So a revocation counts within that time in every process, without anybody telling it.
Keys in use are looked up together before that time is over: one by one, each would take a turn of
the interpreter from the commands.

What is done with a key that is none does not depend on how near it comes to one: each costs one
look-up and one comparison, of hashes, of which none tells anything about another.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice
from typing import NoReturn

from quorate.application.subscriptions import Standing
from quorate.domain.identity.api_keys import Principal, read_key, secret_hash
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections.queries import KeyRow

KEY_SECONDS = 0.5
RENEW_SECONDS = KEY_SECONDS / 2
RENEWED_TOGETHER_MAX = 1_000
KEYS_REMEMBERED_MAX = 10_000
_HASH_OF_NOBODY = secret_hash("")


class KeyCache:
    def __init__(
        self,
        look_up: Callable[[str], Awaitable[KeyRow | None]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._monotonic = monotonic
        self._good: dict[bytes, tuple[float, Principal]] = {}  # Found good when, and whose.
        self._shown: dict[bytes, Principal] = {}  # Those of them, since they were last renewed.
        self._forgotten_at = -KEY_SECONDS

    def remembered(self, text: str) -> Principal | None:
        """The principal of a key that was found good so lately that it need not be looked up."""
        digest = _digest(text)
        found = self._good.get(digest)
        oldest = max(self._monotonic() - KEY_SECONDS, self._forgotten_at)
        if found is None or found[0] <= oldest:
            return None
        self._shown[digest] = found[1]
        return found[1]

    async def look_up(self, text: str) -> Principal | None:
        """The principal of a valid key, else None: unknown, revoked and mistyped look the same."""
        digest, now = _digest(text), self._monotonic()
        principal = await self._check(text)
        self._good.pop(digest, None)
        if principal is None:
            return None
        if len(self._good) >= KEYS_REMEMBERED_MAX:
            del self._good[next(iter(self._good))]
        self._good[digest] = (now, principal)
        return principal

    def knows(self, text: str) -> bool:
        """Whether this key was good when it was last shown, and that is not too long ago."""
        return _digest(text) in self._good

    def forget(self) -> None:
        """A key was revoked in this process: every key is looked up again."""
        self._forgotten_at = self._monotonic()

    async def keep_fresh(self, standing: Standing) -> NoReturn:
        """Ends by being cancelled. Nothing depends on it: what is not renewed is looked up."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if self._shown:
                with suppress(DatabaseUnavailable):
                    await self.renew(standing)

    async def renew(self, standing: Standing) -> None:
        """Those that were shown since the last time, as far as they are good still."""
        shown, self._shown = self._shown, {}
        some, now = dict(islice(shown.items(), RENEWED_TOGETHER_MAX)), self._monotonic()
        good = await standing({principal.key_id for principal in some.values()})
        for digest, principal in some.items():
            if principal.key_id in good and digest in self._good:
                self._good[digest] = (now, principal)

    async def _check(self, text: str) -> Principal | None:
        parts = read_key(text)
        if parts is None:
            return None
        key_id, secret = parts
        row = await self._look_up(key_id)
        expected = row.key.secret_hash if row is not None else _HASH_OF_NOBODY
        is_its_secret = hmac.compare_digest(expected, secret_hash(secret))
        if row is None or not is_its_secret or row.key.revoked_at is not None:
            return None
        return Principal(
            key_id=key_id,
            role=row.key.role,
            tenant=row.tenant,
            agent_id=row.key.agent_id,
            agent_name=row.key.agent_name,
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
