"""A tenant is created once; its id is valid in NATS subjects, URL paths and file names."""

import pytest

from quorate.domain.identity.tenants import (
    OPERATORS,
    TENANT_ID,
    CreateTenant,
    PauseTenant,
    TenantCreated,
    TenantExists,
    TenantIsPaused,
    TenantNotFound,
    TenantPaused,
    TenantUnpaused,
    UnpauseTenant,
    check_not_paused,
    paused_at,
)
from quorate.domain.registry import new_state, stream_of
from tests.unit.support.specification import NOON, TimedEvent, after, given

created = TimedEvent(at=NOON, event=TenantCreated(tenant_id="acme"))
create = CreateTenant(tenant_id="acme")


def test_log_of_a_tenant_begins_with_its_creation() -> None:
    execution = given().when(create)
    execution.then(created)

    assert (execution.outcome.result.id, execution.outcome.result.created_at) == ("acme", NOON)


def test_tenant_is_created_once() -> None:
    given(created).when(create, at=after(minutes=1)).then_rejected(TenantExists("acme"))


def test_events_of_a_tenant_form_one_stream() -> None:
    assert stream_of(created.event) == "tenant-acme"


@pytest.mark.parametrize("tenant_id", ["a", "tenant_abc123", "A-b_9", "x" * 64, OPERATORS])
def test_tenant_id_is_valid(tenant_id: str) -> None:
    assert TENANT_ID.fullmatch(tenant_id)


@pytest.mark.parametrize(
    "tenant_id",
    ["", "*", ">", "a.b", "../x", "%2e%2e", "a b", "a\n", "a\0", "é", "٣", "x" * 65, "a/b"],
)
def test_tenant_id_is_invalid(tenant_id: str) -> None:
    assert not TENANT_ID.fullmatch(tenant_id)


# -- Pausing -----------------------------------------------------------------

paused = TimedEvent(at=NOON, event=TenantPaused(tenant_id="acme", detail="Too much mail"))
unpaused = TimedEvent(at=NOON, event=TenantUnpaused(tenant_id="acme", detail="Corrected"))
pause = PauseTenant(tenant_id="acme", detail="Too much mail")
unpause = UnpauseTenant(tenant_id="acme", detail="Corrected")


def test_tenant_is_paused_once_and_unpaused_once() -> None:
    given(created).when(pause).then(paused)
    given(created, paused).when(pause, at=after(minutes=1)).then()
    given(created, paused).when(unpause).then(unpaused)
    given(created, paused, unpaused).when(unpause).then()


def test_paused_tenant_says_since_when_and_stays_active() -> None:
    execution = given(created, paused).when(pause, at=after(minutes=1))
    tenant = execution.outcome.result

    assert (tenant.paused_at, tenant.status) == (NOON, "active")
    assert given(created, paused).when(unpause).outcome.result.paused_at is None


@pytest.mark.parametrize("command", [pause, unpause])
def test_only_existing_tenants_are_paused(command: PauseTenant | UnpauseTenant) -> None:
    of_operators = TimedEvent(at=NOON, event=TenantCreated(tenant_id=OPERATORS))

    given().when(command).then_rejected(TenantNotFound())
    given(of_operators).when(command).then_rejected(TenantNotFound())


def test_pause_in_the_state_precedes_the_stored_one() -> None:
    state = new_state()
    assert paused_at(state) is None
    state.paused_at = NOON
    assert paused_at(state) == NOON
    with pytest.raises(TenantIsPaused):
        check_not_paused(state)
    state.apply(created.event, NOON)
    assert paused_at(state) is None
    check_not_paused(state)
    state.apply(paused.event, after(minutes=2))
    assert paused_at(state) == after(minutes=2)
