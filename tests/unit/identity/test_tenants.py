"""A tenant is created once; its id is valid in NATS subjects, URL paths and file names."""

import pytest

from quorate.domain.identity.tenants import (
    OPERATORS,
    TENANT_ID,
    CreateTenant,
    TenantCreated,
    TenantExists,
)
from quorate.domain.registry import stream_of
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
