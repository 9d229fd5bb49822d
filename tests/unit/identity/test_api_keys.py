"""API keys: text format with a checksum, issuing, expiry, revoking, and the stored hash."""

import hashlib
import re
import secrets
import string
from dataclasses import replace

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from quorate.domain.identity.agents import AGENTS, AgentRegistered
from quorate.domain.identity.api_keys import (
    API_KEYS,
    IssueKey,
    KeyIssued,
    KeyNotFound,
    KeyRevoked,
    RevokeKey,
    RoleForbidden,
)
from quorate.domain.identity.key_format import (
    KEY_ID_LENGTH,
    KEY_TEXT_LENGTH_MAX,
    SECRET_BITS,
    key_text,
    read_key,
    secret_hash,
)
from quorate.domain.identity.principals import ROLES, Principal, Role
from quorate.domain.identity.tenants import TenantCreated, TenantNotFound
from quorate.domain.registry import stream_of
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import (
    ADMIN_KEY,
    AUDITOR_KEY,
    MAIL_KEY,
    TENANT_KEY,
    key_of,
    register,
)
from tests.unit.support.sample_events import registered
from tests.unit.support.specification import NOON, TimedEvent, after, given

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY_ID = "0123456789abcdef"
SECRET = bytes(range(32))
CALLERS = {
    "admin": ADMIN_KEY,
    "tenant": TENANT_KEY,
    "agent": key_of("ann"),
    "auditor": AUDITOR_KEY,
    "mail": MAIL_KEY,
}
ALLOWED = {
    ("admin", "admin"),
    ("admin", "tenant"),
    ("admin", "agent"),
    ("admin", "auditor"),
    ("admin", "mail"),
    ("tenant", "agent"),
    ("tenant", "auditor"),
    ("tenant", "mail"),
}
key_ids = st.text(string.ascii_lowercase + string.digits, min_size=16, max_size=16)
secret_bytes = st.binary(min_size=32, max_size=32)

created = TimedEvent(at=NOON, event=TenantCreated(tenant_id="acme"))


# -- The text of a key -------------------------------------------------------


def test_key_text_has_a_fixed_format() -> None:
    text = key_text(KEY_ID, SECRET)

    assert re.fullmatch(rf"qk_{KEY_ID}_[0-9A-Za-z]{{49}}", text)
    assert len(text) == KEY_TEXT_LENGTH_MAX == 69
    assert len(KEY_ID) == KEY_ID_LENGTH


@for_all(key_ids, secret_bytes)
def test_written_text_is_read_back(key_id: str, random: bytes) -> None:
    read = read_key(key_text(key_id, random))

    assert read is not None
    assert read[0] == key_id


@for_all(secret_bytes, secret_bytes)
def test_different_secrets_give_different_texts(one: bytes, other: bytes) -> None:
    assert (key_text(KEY_ID, one) == key_text(KEY_ID, other)) == (one == other)


def test_key_text_contains_all_bits_of_the_secret() -> None:
    assert SECRET_BITS == 256
    assert len(DIGITS) ** 43 > 2**SECRET_BITS > len(DIGITS) ** 42
    read = read_key(key_text(KEY_ID, b"\xff" * 32))

    assert read is not None
    assert sum(DIGITS.index(digit) * 62**power for power, digit in enumerate(read[1][::-1])) == (
        2**SECRET_BITS - 1
    )


@for_all(secret_bytes, st.integers(0, KEY_TEXT_LENGTH_MAX - 1), st.sampled_from(DIGITS))
def test_checksum_detects_a_wrong_character(random: bytes, place: int, typed: str) -> None:
    """CRC-32 detects every single wrong character; prefix and separators are fixed."""
    text = key_text(KEY_ID, random)
    mistyped = text[:place] + typed + text[place + 1 :]

    assert (read_key(mistyped) is None) == (mistyped != text)


@for_all(secret_bytes, st.integers(3, KEY_TEXT_LENGTH_MAX - 2))
def test_checksum_detects_swapped_characters(random: bytes, place: int) -> None:
    text = key_text(KEY_ID, random)
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]

    assert (read_key(swapped) is None) == (swapped != text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qk_",
        "Bearer",
        key_text(KEY_ID, SECRET)[:-1],
        key_text(KEY_ID, SECRET) + "0",
        key_text(KEY_ID, SECRET) + "\n",
        key_text(KEY_ID, SECRET)[:-1] + "\n",
        key_text(KEY_ID, SECRET).upper(),
        key_text(KEY_ID, SECRET).replace("qk_", "sk_"),
        key_text(KEY_ID, SECRET)[:-1] + "\0",
        key_text(KEY_ID, SECRET)[:-1] + "é",
        key_text(KEY_ID, SECRET)[:-1] + "٣",
        "qk_" + "0" * 10_000,
        "\ud800" * KEY_TEXT_LENGTH_MAX,
    ],
)
def test_malformed_key_is_not_read(text: str) -> None:
    assert read_key(text) is None


@for_all(st.text(max_size=2 * KEY_TEXT_LENGTH_MAX))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    assert read_key(text) is None


def test_stored_hash_is_the_sha_256_of_the_secret() -> None:
    read = read_key(key_text(KEY_ID, SECRET))

    assert read is not None
    assert secret_hash(read[1]) == hashlib.sha256(read[1].encode()).hexdigest()
    assert read[1] not in secret_hash(read[1])


# -- Issuing -----------------------------------------------------------------


def issue(role: Role, *, by: Principal = ADMIN_KEY, agent: str | None = None) -> IssueKey:
    return IssueKey(
        caller=by,
        key_id=KEY_ID,
        role=role,
        secret_hash="5eed",
        agent_name=agent,
        new_agent_id="agent_new",
    )


def issued(
    role: Role, *, agent_id: str | None = None, agent: str | None = None, at: Timestamp = NOON
) -> TimedEvent:
    event = KeyIssued(
        key_id=KEY_ID, role=role, secret_hash="5eed", agent_id=agent_id, agent_name=agent
    )
    return TimedEvent(at=at, event=event)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("caller", ROLES)
def test_admin_issues_any_key_and_tenant_issues_keys_of_its_agents_and_servers(
    caller: Role, role: Role
) -> None:
    agent = "ann" if role == "agent" else None
    execution = given(created, registered("ann")).when(issue(role, by=CALLERS[caller], agent=agent))

    if (caller, role) in ALLOWED:
        execution.then(issued(role, agent_id="agent_ann" if agent else None, agent=agent))
    else:
        execution.then_rejected(RoleForbidden(caller))


def test_issued_key_has_its_role_and_hash() -> None:
    scenario = given(created)
    key = scenario.execute(issue("auditor", by=TENANT_KEY), after(minutes=1)).result

    assert (key.id, key.role, key.secret_hash) == (KEY_ID, "auditor", "5eed")
    assert (key.created_at, key.revoked_at) == (after(minutes=1), None)


def test_issue_rejects_an_unknown_tenant() -> None:
    given().when(issue("tenant")).then_rejected(TenantNotFound())


def test_key_for_a_known_agent_is_bound_to_it_in_any_case() -> None:
    given(created, registered("ann")).when(issue("agent", agent="ANN")).then(
        issued("agent", agent_id="agent_ann", agent="ann")
    )


def test_key_for_an_unregistered_agent_reserves_its_id() -> None:
    scenario = (
        given(created)
        .when(issue("agent", agent="ann"))
        .then(issued("agent", agent_id="agent_new", agent="ann"))
    )

    assert scenario.tenant_state[AGENTS]["agent_new"].status == "reserved"
    outcome = scenario.execute(register("ann"), NOON)
    assert isinstance(outcome.decided[0], AgentRegistered)
    assert outcome.decided[0].agent_id == "agent_new"


def test_second_key_for_a_reserved_agent_has_the_same_id() -> None:
    scenario = given(created, issued("agent", agent_id="agent_new", agent="ann"))
    second = replace(issue("agent", agent="Ann"), key_id="f" * 16, new_agent_id="agent_other")

    event = scenario.execute(second, NOON).decided[0]
    assert isinstance(event, KeyIssued)
    assert (event.agent_id, event.agent_name) == ("agent_new", "ann")


def test_key_does_not_change_a_known_agent() -> None:
    scenario = given(created, registered("ann"))
    before = scenario.tenant_state[AGENTS]["agent_ann"]
    scenario.execute(issue("agent", agent="ann"), after(minutes=2))

    assert scenario.tenant_state[AGENTS]["agent_ann"] == before


def test_reserved_agent_never_times_out() -> None:
    scenario = given(created, issued("agent", agent_id="agent_new", agent="ann"))
    agent = scenario.tenant_state[AGENTS]["agent_new"]

    assert not agent.is_active(NOON)
    assert not agent.is_overdue(after(hours=1))


def test_key_expires_after_its_duration() -> None:
    limited = replace(issue("auditor"), expires_in_seconds=90)
    key = given(created).execute(limited, after(minutes=1)).result

    assert key.expires_at == after(minutes=2.5)
    assert key.is_valid(Timestamp(after(minutes=2.5) - 1))
    assert not key.is_valid(after(minutes=2.5))


def test_key_without_a_duration_stays_valid() -> None:
    key = given(created).execute(issue("auditor"), NOON).result

    assert key.expires_at is None
    assert key.is_valid(after(hours=1_000_000))


def test_expired_key_counts_until_it_is_revoked() -> None:
    scenario = given(created)
    scenario.execute(replace(issue("auditor"), expires_in_seconds=60), NOON)
    assert scenario.tenant_state.count("keys") == 1
    scenario.execute(revoke(), after(hours=1))

    assert scenario.tenant_state.count("keys") == 0


# -- Revoking ----------------------------------------------------------------


def revoke(*, by: Principal = ADMIN_KEY, key: str = KEY_ID) -> RevokeKey:
    return RevokeKey(caller=by, key_id=key)


def test_revoked_key_has_the_time_of_its_revocation() -> None:
    minute = after(minutes=1)
    scenario = given(created, issued("agent", agent_id="agent_ann", agent="ann"))
    scenario.when(revoke(by=TENANT_KEY), at=minute).then(
        TimedEvent(at=minute, event=KeyRevoked(key_id=KEY_ID))
    )
    key = scenario.tenant_state[API_KEYS][KEY_ID]

    assert key.revoked_at == minute
    assert (key.role, key.agent_id, key.created_at) == ("agent", "agent_ann", NOON)


def test_second_revocation_changes_nothing() -> None:
    scenario = given(created, issued("auditor"))
    scenario.execute(revoke(), NOON)
    scenario.when(revoke(), at=after(minutes=1)).then_nothing()

    assert scenario.tenant_state[API_KEYS][KEY_ID].revoked_at == NOON


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("caller", ROLES)
def test_caller_may_revoke_the_keys_that_it_may_issue(caller: Role, role: Role) -> None:
    execution = given(created, issued(role)).when(revoke(by=CALLERS[caller]))

    if (caller, role) in ALLOWED:
        execution.then(TimedEvent(at=NOON, event=KeyRevoked(key_id=KEY_ID)))
    else:
        execution.then_rejected(RoleForbidden(caller))


def test_revoke_rejects_an_unknown_key() -> None:
    given(created).when(revoke(key="f" * 16)).then_rejected(KeyNotFound())


# -- Actors ------------------------------------------------------------------


def test_actor_is_the_agent_or_else_the_key() -> None:
    assert key_of("ann").actor == "agent_ann"
    assert TENANT_KEY.actor == "keytenant"


def test_events_of_a_key_form_one_stream() -> None:
    events = (issued("auditor").event, KeyRevoked(key_id=KEY_ID))

    assert {stream_of(event) for event in events} == {f"key-{KEY_ID}"}


def test_new_keys_differ() -> None:
    keys = {key_text(KEY_ID, secrets.token_bytes(32)) for _ in range(1_000)}

    assert len(keys) == 1_000
