"""Failed logins are limited per address; known keys, other addresses and other clients are not."""

import asyncio
import gc
import hashlib
import hmac
import sys
from collections.abc import Collection
from ipaddress import ip_network
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.application import key_cache
from quorate.application.failed_login_limiter import (
    PROXY_CHAIN_LENGTH_MAX,
    FailedLoginLimiter,
    client_address,
    network_of,
)
from quorate.application.key_cache import KEY_SECONDS, KeyCache
from quorate.contracts.problems import Problem
from quorate.domain.identity.api_keys import Key
from quorate.domain.identity.key_format import KEY_ID_LENGTH, key_text, read_key, secret_hash
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.queries import KeyRow
from quorate.runtime.asgi import Scope
from tests.e2e.client.clocks import SetClock

if TYPE_CHECKING:
    from _typeshed import TraceFunction

ADDRESS, OTHER_ADDRESS, PROXY = "203.0.113.7", "198.51.100.9", "10.0.0.1"
TRUSTED = (ip_network("10.0.0.0/24"), ip_network("fd00::/8"))
FAILED_PER_MINUTE = 6.0
VALID_KEY = key_text("a" * KEY_ID_LENGTH, b"\x01" * 32)


def invalid_key(number: int) -> str:
    """Return a well-formed key that was never issued."""
    return key_text("b" * KEY_ID_LENGTH, number.to_bytes(32))


class KeyStore:
    """Issued keys, and the number of lookups."""

    def __init__(self) -> None:
        self.rows: dict[str, KeyRow] = {}
        self.lookups = 0

    def issue(self, text: str) -> None:
        parts = read_key(text)
        assert parts is not None
        key_id, secret = parts
        key = Key(
            id=key_id,
            role="tenant",
            secret_hash=secret_hash(secret),
            agent_id=None,
            agent_name=None,
            created_at=Timestamp(0),
        )
        self.rows[key_id] = KeyRow(tenant="acme", key=key)

    async def look_up(self, key_id: str) -> KeyRow | None:
        self.lookups += 1
        return self.rows.get(key_id)

    async def find_active_keys(self, key_ids: Collection[str]) -> Collection[str]:
        return self.rows.keys() & set(key_ids)


class Login:
    def __init__(self) -> None:
        self.clock = SetClock()
        self.keys = KeyStore()
        self.keys.issue(VALID_KEY)
        self.key_cache = KeyCache(self.keys.look_up, lambda: Timestamp(0), self.clock)
        self.failed_login_limiter = FailedLoginLimiter(
            self.key_cache,
            failed_per_minute=FAILED_PER_MINUTE,
            trusted_proxies=TRUSTED,
            monotonic=self.clock,
        )

    async def log_in(self, text: str, *, at: str = ADDRESS, forwarded: str | None = None) -> str:
        headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
        scope: Scope = {"type": "http", "client": (at, 50_000), "headers": headers}
        try:
            principal = await self.failed_login_limiter.authenticate_http(text, scope)
        except Problem as problem:
            return problem.code
        return "accepted" if principal is not None else "rejected"

    async def fail_often(self, **origin: str) -> None:
        for number in range(int(FAILED_PER_MINUTE)):
            assert await self.log_in(invalid_key(number), **origin) == "rejected"


async def test_limiter_looks_up_no_key_of_an_address_above_the_limit() -> None:
    login = Login()
    await login.fail_often()
    lookups = login.keys.lookups

    assert await login.log_in(invalid_key(99)) == "rate_limited"
    assert await login.log_in(VALID_KEY) == "rate_limited"
    assert login.keys.lookups == lookups
    assert await login.log_in(VALID_KEY, at=OTHER_ADDRESS) == "accepted"


async def test_limiter_accepts_a_known_key_above_the_limit() -> None:
    login = Login()
    assert await login.log_in(VALID_KEY) == "accepted"
    await login.fail_often()

    login.clock.advance(2 * KEY_SECONDS)

    assert await login.log_in(invalid_key(99)) == "rate_limited"
    assert await login.log_in(VALID_KEY) == "accepted"


async def test_cache_rejects_a_known_key_after_its_revocation() -> None:
    login = Login()
    assert await login.log_in(VALID_KEY) == "accepted"
    login.keys.rows.clear()

    login.clock.advance(2 * KEY_SECONDS)

    assert await login.log_in(VALID_KEY) == "rejected"
    assert not login.key_cache.is_known(VALID_KEY)


async def test_cache_renews_keys_in_use_without_single_lookups() -> None:
    login = Login()
    for _ in range(5):
        assert await login.log_in(VALID_KEY) == "accepted"
        await login.key_cache.renew(login.keys.find_active_keys)
        login.clock.advance(0.75 * KEY_SECONDS)

    assert login.keys.lookups == 1


async def test_cache_does_not_renew_a_revoked_key() -> None:
    login = Login()
    assert await login.log_in(VALID_KEY) == "accepted"
    login.clock.advance(0.75 * KEY_SECONDS)
    assert await login.log_in(VALID_KEY) == "accepted"
    login.keys.rows.clear()

    await login.key_cache.renew(login.keys.find_active_keys)
    login.clock.advance(0.75 * KEY_SECONDS)

    assert await login.log_in(VALID_KEY) == "rejected"


async def test_cache_looks_up_a_key_that_is_revoked_during_its_renewal() -> None:
    login = Login()
    assert await login.log_in(VALID_KEY) == await login.log_in(VALID_KEY) == "accepted"

    async def revoke_meanwhile(key_ids: Collection[str]) -> Collection[str]:
        login.keys.rows.clear()
        login.key_cache.invalidate()
        return key_ids

    await login.key_cache.renew(revoke_meanwhile)

    assert await login.log_in(VALID_KEY) == "rejected"


async def test_limiter_accepts_keys_again_after_the_wait() -> None:
    login = Login()
    await login.fail_often()

    login.clock.advance(60 / FAILED_PER_MINUTE)

    assert await login.log_in(VALID_KEY) == "accepted"


async def test_limiter_does_not_count_valid_keys() -> None:
    login = Login()

    for _ in range(100):
        login.clock.advance(2 * KEY_SECONDS)
        assert await login.log_in(VALID_KEY) == "accepted"


async def test_limiter_counts_clients_behind_a_trusted_proxy_separately() -> None:
    login = Login()
    await login.fail_often(at=PROXY, forwarded=ADDRESS)

    assert await login.log_in(VALID_KEY, at=PROXY, forwarded=ADDRESS) == "rate_limited"
    assert await login.log_in(VALID_KEY, at=PROXY, forwarded=OTHER_ADDRESS) == "accepted"


async def test_limiter_ignores_forwarded_addresses_of_untrusted_peers() -> None:
    login = Login()
    for number in range(int(FAILED_PER_MINUTE)):
        assert await login.log_in(invalid_key(number), forwarded=f"192.0.2.{number}") == "rejected"

    assert await login.log_in(invalid_key(99), forwarded=OTHER_ADDRESS) == "rate_limited"


async def test_limiter_returns_none_over_nats_above_the_limit() -> None:
    login = Login()
    for number in range(int(FAILED_PER_MINUTE)):
        assert (
            await login.failed_login_limiter.authenticate_nats(invalid_key(number), ADDRESS) is None
        )
    lookups = login.keys.lookups

    assert await login.failed_login_limiter.authenticate_nats(VALID_KEY, ADDRESS) is None
    assert login.keys.lookups == lookups
    assert await login.failed_login_limiter.authenticate_nats(VALID_KEY, OTHER_ADDRESS) is not None


# -- Timing of invalid keys (A6) ---------------------------------------------

NUMBER = int.from_bytes(b"\x01" * 32)
NEAR = [key_text("a" * KEY_ID_LENGTH, (NUMBER + 62**place).to_bytes(32)) for place in range(43)]
FAR = key_text("a" * KEY_ID_LENGTH, b"\x02" * 32)


def steps(cache: KeyCache, text: str) -> list[tuple[str, int]]:
    """Return each line of the product that runs until the key is rejected."""
    run: list[tuple[str, int]] = []

    def on_line(frame: FrameType, event: str, _: object) -> "TraceFunction | None":
        if not frame.f_globals["__name__"].startswith("quorate."):
            return None  # Not the product: for example finalizers of the interpreter.
        run.append((f"{frame.f_code.co_qualname} {event}", frame.f_lineno))
        return on_line

    before = sys.gettrace()
    gc.disable()
    with asyncio.Runner() as runner:
        sys.settrace(on_line)
        try:
            found = runner.run(cache.look_up(text))
        finally:
            sys.settrace(before)
            gc.enable()
    assert found is None
    return run


def test_cache_runs_the_same_steps_for_similar_and_different_keys() -> None:
    login = Login()
    far = steps(login.key_cache, FAR)

    assert len(far) > 10
    assert [steps(login.key_cache, near) for near in NEAR] == [far] * len(NEAR)
    assert login.keys.lookups == 1 + len(NEAR)


async def test_requests_with_one_key_share_a_lookup() -> None:
    login = Login()
    login.keys.issue(VALID_KEY)

    found = await asyncio.gather(*(login.key_cache.look_up(VALID_KEY) for _ in range(100)))

    assert {principal and principal.tenant for principal in found} == {"acme"}
    assert login.keys.lookups == 1


async def test_request_after_a_revocation_does_not_share_an_earlier_lookup() -> None:
    login = Login()
    login.keys.issue(VALID_KEY)
    earlier = asyncio.create_task(login.key_cache.look_up(VALID_KEY))
    await asyncio.sleep(0)
    login.keys.rows.clear()
    login.key_cache.invalidate()

    assert await login.key_cache.look_up(VALID_KEY) is None
    await earlier
    assert login.keys.lookups == 2


async def test_request_that_ends_does_not_end_the_shared_lookup() -> None:
    login = Login()
    login.keys.issue(VALID_KEY)
    first, second = (asyncio.create_task(login.key_cache.look_up(VALID_KEY)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert await second is not None


async def test_cache_compares_hashes_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[str, str]] = []

    def compare_digest(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    login = Login()
    monkeypatch.setattr(key_cache, "hmac", SimpleNamespace(compare_digest=compare_digest))
    for near in NEAR:
        assert await login.key_cache.look_up(near) is None

    assert compared == [(hash_of(VALID_KEY), hash_of(near)) for near in NEAR]


async def test_cache_stores_only_the_hash_of_a_key() -> None:
    login = Login()
    assert await login.log_in(VALID_KEY) == "accepted"

    assert list(login.key_cache._valid) == [hashlib.sha256(VALID_KEY.encode()).digest()]


def hash_of(text: str) -> str:
    parts = read_key(text)
    assert parts is not None
    return secret_hash(parts[1])


# -- Client address ----------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        (ADDRESS, [], ADDRESS),
        (ADDRESS, [b"198.51.100.9"], ADDRESS),
        (PROXY, [], PROXY),
        (PROXY, [b"198.51.100.9"], OTHER_ADDRESS),
        (PROXY, [b"192.0.2.1, 198.51.100.9"], OTHER_ADDRESS),
        (PROXY, [b"192.0.2.1, 198.51.100.9, 10.0.0.9"], OTHER_ADDRESS),
        (PROXY, [b"198.51.100.9", b"10.0.0.9"], OTHER_ADDRESS),
        (PROXY, [b"nonsense"], "nonsense"),
        ("::ffff:10.0.0.1", [b"198.51.100.9"], OTHER_ADDRESS),
        ("fd00::1", [b"198.51.100.9"], OTHER_ADDRESS),
        ("", [b"198.51.100.9"], ""),
    ],
)
def test_client_address_is_the_nearest_untrusted_address(
    peer: str, forwarded: list[bytes], found: str
) -> None:
    assert client_address(peer, forwarded, TRUSTED) == found


def test_client_address_follows_a_bounded_chain() -> None:
    forwarded = [b",".join([b"10.0.0.1"] * 1_000)]

    assert client_address(PROXY, forwarded, TRUSTED) == PROXY
    assert PROXY_CHAIN_LENGTH_MAX < 1_000


@given(st.binary(max_size=40))
def test_client_address_accepts_any_header(header: bytes) -> None:
    assert isinstance(client_address(PROXY, [header], TRUSTED), str)


def test_network_of_maps_an_ipv6_network_to_one_address() -> None:
    assert network_of("2001:db8:1:2::5") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::5") != network_of("2001:db8:1:3::5")
    assert network_of("::ffff:203.0.113.7") == ADDRESS
