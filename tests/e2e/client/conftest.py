"""A service for each file, and for each test a tenant whose agents come by each way in turn."""

import pytest

from tests.e2e.client.agent_fleet import WAYS, Fleet
from tests.e2e.service.conftest import data_dir, operator, service, tenant
from tests.e2e.service.http_clients import Tenant

__all__ = ["data_dir", "operator", "service", "tenant"]


@pytest.fixture(params=WAYS)
async def fleet(request: pytest.FixtureRequest, tenant: Tenant) -> Fleet:
    return Fleet(tenant, request.param)
