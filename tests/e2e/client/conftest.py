"""One service for each file. Each test gets a new tenant, once with each transport."""

import pytest

from tests.e2e.client.agent_fleet import TRANSPORTS, Fleet
from tests.e2e.service.conftest import data_dir, operator, service, tenant
from tests.e2e.service.http_clients import Tenant

__all__ = ["data_dir", "operator", "service", "tenant"]


@pytest.fixture(params=TRANSPORTS)
async def fleet(request: pytest.FixtureRequest, tenant: Tenant) -> Fleet:
    return Fleet(tenant, request.param)
