"""Authenticate API keys, for HTTP and NATS alike, with a short-lived cache.

* A valid key is cached for KEY_SECONDS, by the hash of the full key and never by the key itself.
  A revocation or an expiry takes effect within that time in every process, without a message.
* Keys in use are renewed together before the time is over. Single lookups would each take
  a turn of the interpreter from the commands.
* Requests with the same key share one lookup. Otherwise thousands of them would look up a key for
  longer than it is cached, and every request after them too.
* The work for an invalid key does not depend on how similar it is to a valid one: one lookup and
  one comparison of hashes, which reveal nothing about each other.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import NoReturn

from quorate.application.subscriptions import FindActiveKeys
from quorate.domain.identity.api_keys import KeyRevoked
from quorate.domain.identity.key_format import read_key, secret_hash
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections.queries import KeyRow

KEY_SECONDS = 0.5
RENEW_SECONDS = KEY_SECONDS / 2
KEYS_PER_RENEWAL_MAX = 1_000
KEYS_CACHED_MAX = 10_000
_DUMMY_HASH = secret_hash("")


class KeyCache:
    def __init__(
        self,
        look_up: Callable[[str], Awaitable[KeyRow | None]],
        clock: Callable[[], Timestamp],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._monotonic = monotonic
        self._valid: dict[bytes, tuple[float, Principal]] = {}  # By digest: time and owner.
        self._used: dict[bytes, Principal] = {}  # Keys used since the last renewal.
        self._lookups: dict[
            bytes, tuple[float, asyncio.Task[Principal | None]]
        ] = {}  # In progress.
        self._stale_before = -KEY_SECONDS

    def get_cached(self, full_key: str) -> Principal | None:
        """Return the principal of a key that is cached and still fresh, else None."""
        digest = _digest(full_key)
        found = self._valid.get(digest)
        oldest = max(self._monotonic() - KEY_SECONDS, self._stale_before)
        if found is None or found[0] <= oldest:
            return None
        self._used[digest] = found[1]
        return found[1]

    async def look_up(self, full_key: str) -> Principal | None:
        """Return the principal of a valid key, else None, be it unknown, ended or mistyped."""
        digest, now = _digest(full_key), self._monotonic()
        started = self._lookups.get(digest)
        if started is None or started[0] <= max(now - KEY_SECONDS, self._stale_before):
            started = (now, asyncio.create_task(self._look_up_once(full_key, digest, now)))
            self._lookups[digest] = started
        return await asyncio.shield(started[1])  # A caller that goes does not stop the others.

    async def _look_up_once(self, full_key: str, digest: bytes, now: float) -> Principal | None:
        try:
            principal = await self._check(full_key)
        finally:
            if self._lookups.get(digest, (None,))[0] == now:
                del self._lookups[digest]
        self._valid.pop(digest, None)
        if principal is None:
            return None
        if len(self._valid) >= KEYS_CACHED_MAX:
            del self._valid[next(iter(self._valid))]
        self._valid[digest] = (now, principal)
        return principal

    def is_known(self, full_key: str) -> bool:
        """Return whether the key was valid when it was last looked up, and is still cached."""
        return _digest(full_key) in self._valid

    def invalidate(self) -> None:
        """Make every cached key stale, because a key was revoked."""
        self._stale_before = self._monotonic()

    def record(self, rows: Sequence[RecordedEvent]) -> None:
        """Apply committed events: any process may have revoked a key."""
        if any(row.type == KeyRevoked.__name__ for row in rows):
            self.invalidate()

    async def keep_fresh(self, find_active_keys: FindActiveKeys) -> NoReturn:
        """Renew keys in use until cancelled; a key that was not renewed is looked up when used."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if self._used:
                with suppress(DatabaseUnavailable):
                    await self.renew(find_active_keys)

    async def renew(self, find_active_keys: FindActiveKeys) -> None:
        """Renew the keys used since the last renewal that are still valid."""
        used, self._used = self._used, {}
        batch, now = dict(islice(used.items(), KEYS_PER_RENEWAL_MAX)), self._monotonic()
        valid = await find_active_keys({principal.key_id for principal in batch.values()})
        for digest, principal in batch.items():
            if principal.key_id in valid and digest in self._valid:
                self._valid[digest] = (now, principal)

    async def _check(self, full_key: str) -> Principal | None:
        parts = read_key(full_key)
        if parts is None:
            return None
        key_id, secret = parts
        row = await self._look_up(key_id)
        expected = row.key.secret_hash if row is not None else _DUMMY_HASH
        is_its_secret = hmac.compare_digest(expected, secret_hash(secret))
        if row is None or not is_its_secret or not row.key.is_valid(self._clock()):
            return None
        return principal_of(key_id, row)


def principal_of(key_id: str, row: KeyRow) -> Principal:
    """Return who calls with a key."""
    return Principal(
        key_id=key_id,
        role=row.key.role,
        tenant=row.tenant,
        agent_id=row.key.agent_id,
        agent_name=row.key.agent_name,
        preset=row.key.preset,
    )


def _digest(full_key: str) -> bytes:
    return hashlib.sha256(full_key.encode()).digest()
