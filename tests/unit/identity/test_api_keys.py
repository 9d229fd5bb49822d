"""A key says who is calling. Its text proves itself; what is stored gives nothing away."""

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
from tests.unit.support.sample_events import registered
from tests.unit.support.scenario import ADMIN_KEY, AUDITOR_KEY, TENANT_KEY, key_of, register
from tests.unit.support.specification import NOON, Fact, after, given

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY_ID = "0123456789abcdef"
SECRET = bytes(range(32))
CALLERS = {
    "admin": ADMIN_KEY,
    "tenant": TENANT_KEY,
    "agent": key_of("ann"),
    "auditor": AUDITOR_KEY,
}
MAY_ISSUE = {
    ("admin", "admin"),
    ("admin", "tenant"),
    ("admin", "agent"),
    ("admin", "auditor"),
    ("tenant", "agent"),
    ("tenant", "auditor"),
}
key_ids = st.text(string.ascii_lowercase + string.digits, min_size=16, max_size=16)
secret_bytes = st.binary(min_size=32, max_size=32)

created = Fact(at=NOON, event=TenantCreated(tenant_id="acme"))


# -- The text of a key -------------------------------------------------------


def test_the_text_of_a_key_has_a_fixed_form() -> None:
    text = key_text(KEY_ID, SECRET)

    assert re.fullmatch(rf"qk_{KEY_ID}_[0-9A-Za-z]{{49}}", text)
    assert len(text) == KEY_TEXT_LENGTH_MAX == 69
    assert len(KEY_ID) == KEY_ID_LENGTH


@for_all(key_ids, secret_bytes)
def test_what_was_written_is_read(key_id: str, random: bytes) -> None:
    read = read_key(key_text(key_id, random))

    assert read is not None
    assert read[0] == key_id


@for_all(secret_bytes, secret_bytes)
def test_different_secrets_are_different_texts(one: bytes, other: bytes) -> None:
    assert (key_text(KEY_ID, one) == key_text(KEY_ID, other)) == (one == other)


def test_the_whole_secret_is_in_the_text() -> None:
    assert SECRET_BITS == 256
    assert len(DIGITS) ** 43 > 2**SECRET_BITS > len(DIGITS) ** 42
    read = read_key(key_text(KEY_ID, b"\xff" * 32))

    assert read is not None
    assert sum(DIGITS.index(digit) * 62**power for power, digit in enumerate(read[1][::-1])) == (
        2**SECRET_BITS - 1
    )


@for_all(secret_bytes, st.integers(0, KEY_TEXT_LENGTH_MAX - 1), st.sampled_from(DIGITS))
def test_a_mistyped_key_is_told_without_a_look_up(random: bytes, place: int, typed: str) -> None:
    """CRC-32 finds every single wrong character; a key's own prefix and separators are fixed."""
    text = key_text(KEY_ID, random)
    mistyped = text[:place] + typed + text[place + 1 :]

    assert (read_key(mistyped) is None) == (mistyped != text)


@for_all(secret_bytes, st.integers(3, KEY_TEXT_LENGTH_MAX - 2))
def test_two_swapped_characters_are_told_too(random: bytes, place: int) -> None:
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
def test_what_cannot_be_a_key_is_none(text: str) -> None:
    assert read_key(text) is None


@for_all(st.text(max_size=2 * KEY_TEXT_LENGTH_MAX))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert read_key(text) is None


def test_what_is_stored_is_the_sha_256_of_the_secret() -> None:
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
) -> Fact:
    event = KeyIssued(
        key_id=KEY_ID, role=role, secret_hash="5eed", agent_id=agent_id, agent_name=agent
    )
    return Fact(at=at, event=event)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("caller", ROLES)
def test_operators_issue_any_key_and_tenants_those_of_agents_and_auditors(
    caller: Role, role: Role
) -> None:
    agent = "ann" if role == "agent" else None
    asked = given(created, registered("ann")).when(issue(role, by=CALLERS[caller], agent=agent))

    if (caller, role) in MAY_ISSUE:
        asked.then(issued(role, agent_id="agent_ann" if agent else None, agent=agent))
    else:
        asked.then_refused(RoleForbidden(caller))


def test_a_key_is_what_it_was_issued_as() -> None:
    story = given(created)
    key = story.ask(issue("auditor", by=TENANT_KEY), after(minutes=1)).outcome

    assert (key.id, key.role, key.secret_hash) == (KEY_ID, "auditor", "5eed")
    assert (key.created_at, key.revoked_at) == (after(minutes=1), None)


def test_a_key_of_a_tenant_that_is_not_there_is_not_issued() -> None:
    given().when(issue("tenant")).then_refused(TenantNotFound())


def test_a_key_for_an_agent_that_is_known_is_bound_to_it_in_any_case() -> None:
    given(created, registered("ann")).when(issue("agent", agent="ANN")).then(
        issued("agent", agent_id="agent_ann", agent="ann")
    )


def test_a_key_for_an_agent_that_is_to_come_settles_its_id() -> None:
    story = (
        given(created)
        .when(issue("agent", agent="ann"))
        .then(issued("agent", agent_id="agent_new", agent="ann"))
    )

    assert story.tenant_state[AGENTS]["agent_new"].status == "reserved"
    answer = story.ask(register("ann"), NOON)
    assert isinstance(answer.decided[0], AgentRegistered)
    assert answer.decided[0].agent_id == "agent_new"


def test_a_second_key_for_an_agent_that_is_to_come_has_the_same_id() -> None:
    story = given(created, issued("agent", agent_id="agent_new", agent="ann"))
    second = replace(issue("agent", agent="Ann"), key_id="f" * 16, new_agent_id="agent_other")

    event = story.ask(second, NOON).decided[0]
    assert isinstance(event, KeyIssued)
    assert (event.agent_id, event.agent_name) == ("agent_new", "ann")


def test_a_key_changes_nothing_about_an_agent_that_is_known() -> None:
    story = given(created, registered("ann"))
    before = story.tenant_state[AGENTS]["agent_ann"]
    story.ask(issue("agent", agent="ann"), after(minutes=2))

    assert story.tenant_state[AGENTS]["agent_ann"] == before


def test_a_reserved_agent_never_lapses() -> None:
    story = given(created, issued("agent", agent_id="agent_new", agent="ann"))
    agent = story.tenant_state[AGENTS]["agent_new"]

    assert not agent.is_active(NOON)
    assert not agent.is_overdue(after(hours=1))


# -- Revoking ----------------------------------------------------------------


def revoke(*, by: Principal = ADMIN_KEY, key: str = KEY_ID) -> RevokeKey:
    return RevokeKey(caller=by, key_id=key)


def test_a_revoked_key_says_since_when() -> None:
    minute = after(minutes=1)
    story = given(created, issued("agent", agent_id="agent_ann", agent="ann"))
    story.when(revoke(by=TENANT_KEY), at=minute).then(
        Fact(at=minute, event=KeyRevoked(key_id=KEY_ID))
    )
    key = story.tenant_state[API_KEYS][KEY_ID]

    assert key.revoked_at == minute
    assert (key.role, key.agent_id, key.created_at) == ("agent", "agent_ann", NOON)


def test_revoking_twice_is_the_same_as_once() -> None:
    story = given(created, issued("auditor"))
    story.ask(revoke(), NOON)
    story.when(revoke(), at=after(minutes=1)).then_nothing()

    assert story.tenant_state[API_KEYS][KEY_ID].revoked_at == NOON


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("caller", ROLES)
def test_who_may_issue_a_key_may_revoke_it(caller: Role, role: Role) -> None:
    asked = given(created, issued(role)).when(revoke(by=CALLERS[caller]))

    if (caller, role) in MAY_ISSUE:
        asked.then(Fact(at=NOON, event=KeyRevoked(key_id=KEY_ID)))
    else:
        asked.then_refused(RoleForbidden(caller))


def test_a_key_that_is_not_known_is_not_found() -> None:
    given(created).when(revoke(key="f" * 16)).then_refused(KeyNotFound())


# -- Who calls ---------------------------------------------------------------


def test_the_log_names_the_agent_or_else_the_key() -> None:
    assert key_of("ann").actor == "agent_ann"
    assert TENANT_KEY.actor == "keytenant"


def test_the_facts_of_a_key_are_one_stream() -> None:
    facts = (issued("auditor").event, KeyRevoked(key_id=KEY_ID))

    assert {stream_of(event) for event in facts} == {f"key-{KEY_ID}"}


def test_fresh_keys_differ() -> None:
    keys = {key_text(KEY_ID, secrets.token_bytes(32)) for _ in range(1_000)}

    assert len(keys) == 1_000
