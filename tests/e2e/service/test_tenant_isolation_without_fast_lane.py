"""A key of one tenant reveals nothing about another tenant when FastAPI serves the hot operations.

The tests are those of ``test_tenant_isolation.py``, which runs with the fast lane. Only the hot
operations take another path without it, so only they run again.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from quorate.contracts.operations import AnyOperation
from tests.e2e.service import test_tenant_isolation as with_fast_lane
from tests.e2e.service.http_clients import Operator
from tests.e2e.service.tenant_data import TenantData, create_tenant_data
from tests.e2e.service.two_tenants import (
    PRIVATE,
)

SERVE = ("--no-fast-lane",)
HOT = [endpoint for endpoint in PRIVATE if endpoint.hot]

Attack: TypeAlias = Callable[[AnyOperation, TenantData, TenantData], Awaitable[None]]
ATTACKS: list[Attack] = [
    with_fast_lane.test_request_without_a_key_reveals_nothing,
    with_fast_lane.test_tenant_id_of_the_other_tenant_is_rejected_in_every_place,
    with_fast_lane.test_id_of_the_other_tenant_looks_like_an_unknown_id,
    with_fast_lane.test_request_with_all_values_of_the_other_tenant_is_rejected,
    with_fast_lane.test_lists_contain_only_own_items,
]


@pytest.fixture
async def ours(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


@pytest.fixture
async def theirs(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


@pytest.mark.parametrize("endpoint", HOT, ids=lambda endpoint: endpoint.name)
async def test_roles_are_respected(endpoint: AnyOperation, ours: TenantData) -> None:
    await with_fast_lane.test_role_without_permission_is_rejected(endpoint, ours)
    await with_fast_lane.test_own_resource_is_accessible(endpoint, ours)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize("endpoint", HOT, ids=lambda endpoint: endpoint.name)
async def test_attack_reveals_nothing(
    endpoint: AnyOperation, attack: Attack, ours: TenantData, theirs: TenantData
) -> None:
    await attack(endpoint, ours, theirs)
