"""A service for each file, and for each test a tenant whose agents come by each way in turn."""

import pytest

from tests.client.taking_part import WAYS, Fleet
from tests.service.callers import Tenant
from tests.service.conftest import data_dir, operator, service, tenant

__all__ = ["data_dir", "operator", "service", "tenant"]


@pytest.fixture(params=WAYS)
async def fleet(request: pytest.FixtureRequest, tenant: Tenant) -> Fleet:
    return Fleet(tenant, request.param)
