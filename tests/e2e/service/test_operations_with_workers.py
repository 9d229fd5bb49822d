"""Every operation works when another process writes: its command and its response can be sent.

The operations come from the registry, so a new one is tested too.
"""

import pytest

from quorate.contracts.operations import AnyOperation
from tests.e2e.service import test_tenant_isolation as with_one_process
from tests.e2e.service.http_clients import Operator
from tests.e2e.service.tenant_data import TenantData, create_tenant_data
from tests.e2e.service.two_tenants import PRIVATE

SERVE = ("--workers", "2")


@pytest.fixture
async def ours(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


@pytest.mark.parametrize("endpoint", PRIVATE, ids=lambda endpoint: endpoint.name)
async def test_own_resource_is_accessible(endpoint: AnyOperation, ours: TenantData) -> None:
    await with_one_process.test_own_resource_is_accessible(endpoint, ours)
