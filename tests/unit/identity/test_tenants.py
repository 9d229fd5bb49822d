"""A tenant is created once, and its id is fit for a subject, a path and a file name."""

import pytest

from quorate.domain.identity.tenants import (
    OPERATORS,
    TENANT_ID,
    CreateTenant,
    TenantCreated,
    TenantExists,
)
from quorate.domain.registry import stream_of
from tests.unit.support.specification import NOON, Fact, after, given

created = Fact(at=NOON, event=TenantCreated(tenant_id="acme"))
create = CreateTenant(tenant_id="acme")


def test_a_tenants_log_begins_with_its_creation() -> None:
    asked = given().when(create)
    asked.then(created)

    assert (asked.answer.outcome.id, asked.answer.outcome.created_at) == ("acme", NOON)


def test_a_tenant_is_created_once() -> None:
    given(created).when(create, at=after(minutes=1)).then_refused(TenantExists("acme"))


def test_the_facts_about_a_tenant_are_one_stream() -> None:
    assert stream_of(created.event) == "tenant-acme"


@pytest.mark.parametrize("tenant_id", ["a", "tenant_abc123", "A-b_9", "x" * 64, OPERATORS])
def test_these_are_tenant_ids(tenant_id: str) -> None:
    assert TENANT_ID.fullmatch(tenant_id)


@pytest.mark.parametrize(
    "tenant_id",
    ["", "*", ">", "a.b", "../x", "%2e%2e", "a b", "a\n", "a\0", "é", "٣", "x" * 65, "a/b"],
)
def test_these_are_no_tenant_ids(tenant_id: str) -> None:
    assert not TENANT_ID.fullmatch(tenant_id)
