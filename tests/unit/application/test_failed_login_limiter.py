"""Whoever tries keys is slowed down, and keeps nobody out who was there before."""

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
    PROXIES_IN_A_ROW_MAX,
    FailedLoginLimiter,
    network_of,
    origin,
)
from quorate.application.key_cache import KEY_SECONDS, KeyCache
from quorate.contracts.problems import Problem
from quorate.domain.identity.api_keys import KEY_ID_LENGTH, Key, key_text, read_key, secret_hash
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.queries import KeyRow
from quorate.runtime.asgi import Scope
from tests.e2e.client.clocks import SetClock

if TYPE_CHECKING:
    from _typeshed import TraceFunction

HERE, THERE, PROXY = "203.0.113.7", "198.51.100.9", "10.0.0.1"
TRUSTED = (ip_network("10.0.0.0/24"), ip_network("fd00::/8"))
FAILED_PER_MINUTE = 6.0
GOOD = key_text("a" * KEY_ID_LENGTH, b"\x01" * 32)


def wrong(number: int) -> str:
    """Looks like a key, and is nobody's."""
    return key_text("b" * KEY_ID_LENGTH, number.to_bytes(32))


class Book:
    """The keys that there are, and how often one was looked up."""

    def __init__(self) -> None:
        self.rows: dict[str, KeyRow] = {}
        self.looked_up = 0

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
        self.looked_up += 1
        return self.rows.get(key_id)

    async def standing(self, key_ids: Collection[str]) -> Collection[str]:
        return self.rows.keys() & set(key_ids)


class Door:
    def __init__(self) -> None:
        self.clock = SetClock()
        self.book = Book()
        self.book.issue(GOOD)
        self.keyring = KeyCache(self.book.look_up, self.clock)
        self.strangers = FailedLoginLimiter(
            self.keyring,
            failed_per_minute=FAILED_PER_MINUTE,
            trusted_proxies=TRUSTED,
            monotonic=self.clock,
        )

    async def shows(self, text: str, *, at: str = HERE, forwarded: str | None = None) -> str:
        headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
        scope: Scope = {"type": "http", "client": (at, 50_000), "headers": headers}
        try:
            principal = await self.strangers.over_http(text, scope)
        except Problem as problem:
            return problem.code
        return "in" if principal is not None else "none"

    async def tries_many(self, **where: str) -> None:
        for number in range(int(FAILED_PER_MINUTE)):
            assert await self.shows(wrong(number), **where) == "none"


async def test_after_too_many_wrong_keys_nothing_is_looked_up_for_that_address() -> None:
    door = Door()
    await door.tries_many()
    looked_up = door.book.looked_up

    assert await door.shows(wrong(99)) == "rate_limited"
    assert await door.shows(GOOD) == "rate_limited"
    assert door.book.looked_up == looked_up
    assert await door.shows(GOOD, at=THERE) == "in"


async def test_who_was_in_before_stays_in() -> None:
    door = Door()
    assert await door.shows(GOOD) == "in"
    await door.tries_many()

    door.clock.pass_(2 * KEY_SECONDS)

    assert await door.shows(wrong(99)) == "rate_limited"
    assert await door.shows(GOOD) == "in"


async def test_a_revoked_key_is_out_however_well_it_was_known() -> None:
    door = Door()
    assert await door.shows(GOOD) == "in"
    door.book.rows.clear()

    door.clock.pass_(2 * KEY_SECONDS)

    assert await door.shows(GOOD) == "none"
    assert not door.keyring.knows(GOOD)


async def test_keys_in_use_are_looked_up_together_before_they_have_to_be() -> None:
    door = Door()
    for _ in range(5):
        assert await door.shows(GOOD) == "in"
        await door.keyring.renew(door.book.standing)
        door.clock.pass_(0.75 * KEY_SECONDS)

    assert door.book.looked_up == 1


async def test_a_revoked_key_is_not_renewed() -> None:
    door = Door()
    assert await door.shows(GOOD) == "in"
    door.clock.pass_(0.75 * KEY_SECONDS)
    assert await door.shows(GOOD) == "in"
    door.book.rows.clear()

    await door.keyring.renew(door.book.standing)
    door.clock.pass_(0.75 * KEY_SECONDS)

    assert await door.shows(GOOD) == "none"


async def test_a_key_that_is_revoked_while_it_is_renewed_is_looked_up() -> None:
    door = Door()
    assert await door.shows(GOOD) == await door.shows(GOOD) == "in"

    async def just_before(key_ids: Collection[str]) -> Collection[str]:
        door.book.rows.clear()
        door.keyring.forget()
        return key_ids

    await door.keyring.renew(just_before)

    assert await door.shows(GOOD) == "none"


async def test_the_wait_passes() -> None:
    door = Door()
    await door.tries_many()

    door.clock.pass_(60 / FAILED_PER_MINUTE)

    assert await door.shows(GOOD) == "in"


async def test_any_number_of_good_keys_may_come_from_one_address() -> None:
    door = Door()

    for _ in range(100):
        door.clock.pass_(2 * KEY_SECONDS)
        assert await door.shows(GOOD) == "in"


async def test_behind_a_proxy_that_is_trusted_each_counts_for_itself() -> None:
    door = Door()
    await door.tries_many(at=PROXY, forwarded=HERE)

    assert await door.shows(GOOD, at=PROXY, forwarded=HERE) == "rate_limited"
    assert await door.shows(GOOD, at=PROXY, forwarded=THERE) == "in"


async def test_nobody_else_is_believed_about_where_it_comes_from() -> None:
    door = Door()
    for number in range(int(FAILED_PER_MINUTE)):
        assert await door.shows(wrong(number), forwarded=f"192.0.2.{number}") == "none"

    assert await door.shows(wrong(99), forwarded=THERE) == "rate_limited"


async def test_over_nats_it_is_a_plain_no() -> None:
    door = Door()
    for number in range(int(FAILED_PER_MINUTE)):
        assert await door.strangers.over_nats(wrong(number), HERE) is None
    looked_up = door.book.looked_up

    assert await door.strangers.over_nats(GOOD, HERE) is None
    assert door.book.looked_up == looked_up
    assert await door.strangers.over_nats(GOOD, THERE) is not None


# -- How near a wrong key comes (A6) -----------------------------------------

NUMBER = int.from_bytes(b"\x01" * 32)
NEAR = [key_text("a" * KEY_ID_LENGTH, (NUMBER + 62**place).to_bytes(32)) for place in range(43)]
FAR = key_text("a" * KEY_ID_LENGTH, b"\x02" * 32)


def steps(ring: KeyCache, text: str) -> list[tuple[str, int]]:
    """Each line of ours that is run until a key is found to be none."""
    run: list[tuple[str, int]] = []

    def on_line(frame: FrameType, event: str, _: object) -> "TraceFunction | None":
        if not frame.f_globals["__name__"].startswith("quorate."):
            return None  # What the interpreter does in between, like finalising, is not asked for.
        run.append((f"{frame.f_code.co_qualname} {event}", frame.f_lineno))
        return on_line

    looking, before = ring.look_up(text), sys.gettrace()
    gc.disable()
    sys.settrace(on_line)
    try:
        with pytest.raises(StopIteration) as ended:
            looking.send(None)
    finally:
        sys.settrace(before)
        gc.enable()
    assert ended.value.value is None
    return run


def test_a_key_that_is_nearly_one_takes_the_same_steps_as_any_other() -> None:
    door = Door()
    far = steps(door.keyring, FAR)

    assert len(far) > 10
    assert [steps(door.keyring, near) for near in NEAR] == [far] * len(NEAR)
    assert door.book.looked_up == 1 + len(NEAR)


async def test_what_is_compared_are_hashes_and_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[str, str]] = []

    def compare_digest(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    door = Door()
    monkeypatch.setattr(key_cache, "hmac", SimpleNamespace(compare_digest=compare_digest))
    for near in NEAR:
        assert await door.keyring.look_up(near) is None

    assert compared == [(hash_of(GOOD), hash_of(near)) for near in NEAR]


async def test_a_key_is_remembered_by_its_hash_alone() -> None:
    door = Door()
    assert await door.shows(GOOD) == "in"

    assert list(door.keyring._good) == [hashlib.sha256(GOOD.encode()).digest()]


def hash_of(text: str) -> str:
    parts = read_key(text)
    assert parts is not None
    return secret_hash(parts[1])


# -- Where a request comes from ----------------------------------------------


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        (HERE, [], HERE),
        (HERE, [b"198.51.100.9"], HERE),
        (PROXY, [], PROXY),
        (PROXY, [b"198.51.100.9"], THERE),
        (PROXY, [b"192.0.2.1, 198.51.100.9"], THERE),
        (PROXY, [b"192.0.2.1, 198.51.100.9, 10.0.0.9"], THERE),
        (PROXY, [b"198.51.100.9", b"10.0.0.9"], THERE),
        (PROXY, [b"nonsense"], "nonsense"),
        ("::ffff:10.0.0.1", [b"198.51.100.9"], THERE),
        ("fd00::1", [b"198.51.100.9"], THERE),
        ("", [b"198.51.100.9"], ""),
    ],
)
def test_it_is_the_nearest_address_that_is_no_proxy_of_ours(
    peer: str, forwarded: list[bytes], found: str
) -> None:
    assert origin(peer, forwarded, TRUSTED) == found


def test_a_chain_of_proxies_has_an_end() -> None:
    forwarded = [b",".join([b"10.0.0.1"] * 1_000)]

    assert origin(PROXY, forwarded, TRUSTED) == PROXY
    assert PROXIES_IN_A_ROW_MAX < 1_000


@given(st.binary(max_size=40))
def test_whatever_a_header_says_something_is_made_of_it(header: bytes) -> None:
    assert isinstance(origin(PROXY, [header], TRUSTED), str)


def test_a_network_of_ipv6_is_one_address() -> None:
    assert network_of("2001:db8:1:2::5") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::5") != network_of("2001:db8:1:3::5")
    assert network_of("::ffff:203.0.113.7") == HERE
