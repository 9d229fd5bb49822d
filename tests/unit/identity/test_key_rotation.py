"""A rotated key is replaced by one with the same role and agent, and is revoked or expires."""

from dataclasses import replace

import pytest

from quorate.domain.identity.agent_departures import AgentHasKeys, AgentRemoved, RemoveAgent
from quorate.domain.identity.agents import AGENTS
from quorate.domain.identity.api_keys import (
    API_KEYS,
    ISSUED_BY,
    KeyEnded,
    KeyExpirySet,
    KeyIssued,
    KeyNotFound,
    KeyRevoked,
    RevokeKeyAndEndAgent,
    RoleForbidden,
    RotateKey,
)
from quorate.domain.identity.principals import ROLES, Principal, Role
from quorate.domain.identity.tenants import TenantCreated
from quorate.domain.shared.quotas import QuotaExceeded, Quotas
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import ADMIN_KEY, AUDITOR_KEY, MAIL_KEY, TENANT_KEY, key_of
from tests.unit.support.sample_events import registered
from tests.unit.support.specification import NOON, TimedEvent, after, given

MINUTE, HOUR = after(minutes=1), after(hours=1)
CALLERS = {
    "admin": ADMIN_KEY,
    "tenant": TENANT_KEY,
    "agent": key_of("ann"),
    "auditor": AUDITOR_KEY,
    "mail": MAIL_KEY,
}
created = TimedEvent(at=NOON, event=TenantCreated(tenant_id="acme"))


def issued(
    role: Role = "agent", *, key: str = "old", expires_at: Timestamp | None = None
) -> TimedEvent:
    event = KeyIssued(key_id=key, role=role, secret_hash="5eed", expires_at=expires_at)
    if role == "agent":
        event = replace(event, agent_id="agent_ann", agent_name="ann")
    return TimedEvent(at=NOON, event=event)


def rotate(
    *,
    by: Principal = TENANT_KEY,
    overlap: int = 0,
    expires_in: int | None = None,
    of: Role = "agent",
) -> RotateKey:
    return RotateKey(
        caller=by,
        key_id="old",
        agent_id="agent_ann" if of == "agent" else None,
        new_key_id="new",
        secret_hash="ba5e",
        overlap_seconds=overlap,
        expires_in_seconds=expires_in,
    )


def test_old_key_is_revoked_at_once_by_default() -> None:
    scenario = given(created, registered("ann"), issued())
    new = scenario.execute(rotate(), MINUTE).result
    old = scenario.tenant_state[API_KEYS]["old"]

    assert (new.id, new.role, new.agent_id, new.agent_name) == ("new", "agent", "agent_ann", "ann")
    assert (new.secret_hash, new.created_at, new.expires_at) == ("ba5e", MINUTE, None)
    assert (old.revoked_at, old.is_valid(MINUTE)) == (MINUTE, False)


def test_old_key_expires_after_the_overlap() -> None:
    scenario = given(created, registered("ann"), issued())
    new = scenario.execute(rotate(overlap=3_600, expires_in=7_200), NOON).result
    old = scenario.tenant_state[API_KEYS]["old"]

    assert (old.revoked_at, old.expires_at) == (None, HOUR)
    assert (old.is_valid(Timestamp(HOUR - 1)), old.is_valid(HOUR)) == (True, False)
    assert new.expires_at == after(hours=2)


@pytest.mark.parametrize(("expires_at", "is_shortened"), [(MINUTE, False), (HOUR, True)])
def test_overlap_never_extends_the_old_key(expires_at: Timestamp, *, is_shortened: bool) -> None:
    scenario = given(created, registered("ann"), issued(expires_at=expires_at))

    _, *ends = scenario.execute(rotate(overlap=120), NOON).decided

    shortened = [KeyExpirySet(key_id="old", expires_at=after(minutes=2))]
    assert ends == (shortened if is_shortened else [])


def test_rotation_does_not_change_the_agent() -> None:
    scenario = given(created, registered("ann"), issued())
    before = scenario.tenant_state[AGENTS]["agent_ann"]
    scenario.execute(rotate(), MINUTE)

    assert scenario.tenant_state[AGENTS]["agent_ann"] == before


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("caller", ROLES)
def test_caller_may_rotate_the_keys_that_it_may_issue(caller: Role, role: Role) -> None:
    scenario = given(created, registered("ann"), issued(role))
    command = rotate(by=CALLERS[caller], of=role)

    if role in ISSUED_BY[caller]:
        assert scenario.execute(command, NOON).result.role == role
    else:
        scenario.when(command).then_rejected(RoleForbidden(caller))


def test_revoked_key_is_not_rotated() -> None:
    revoked = TimedEvent(at=NOON, event=KeyRevoked(key_id="old"))

    given(created, registered("ann"), issued(), revoked).when(rotate()).then_rejected(
        KeyEnded("old")
    )


def test_expired_key_is_not_rotated() -> None:
    scenario = given(created, registered("ann"), issued(expires_at=MINUTE))

    scenario.when(rotate(overlap=60), at=MINUTE).then_rejected(KeyEnded("old"))


def test_unknown_key_is_not_rotated() -> None:
    given(created).when(rotate()).then_rejected(KeyNotFound())


def test_only_a_rotation_with_an_overlap_needs_a_free_key() -> None:
    full = given(created, registered("ann"), issued(), quotas=Quotas(keys=1))

    full.when(rotate(overlap=60)).then_rejected(QuotaExceeded("keys", 1))
    assert full.execute(rotate(), NOON).result.id == "new"


# -- Agents whose keys have expired --------------------------------------------


def test_agent_with_only_expired_keys_can_be_removed() -> None:
    scenario = given(created, registered("ann"), issued(expires_at=HOUR))
    remove = RemoveAgent(agent_id="agent_ann")

    early = scenario.execute(remove, Timestamp(HOUR - 1))
    assert early.rejection is not None
    assert early.rejection.kind is AgentHasKeys
    removed = scenario.execute(remove, HOUR).decided[-1]
    assert removed == AgentRemoved(agent_id="agent_ann", agent_name="ann")


def test_expired_key_does_not_keep_the_agent_of_a_revoked_key() -> None:
    scenario = given(created, registered("ann"), issued(), issued(key="other", expires_at=MINUTE))
    end = RevokeKeyAndEndAgent(caller=TENANT_KEY, key_id="old", agent_id="agent_ann")

    assert scenario.execute(end, MINUTE).result is True
