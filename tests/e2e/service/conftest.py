"""Fixtures: a service for each test file, and new tenants for each test.

A file that defines ``SERVE`` has its own service with these options. ``SERVE = ()`` is for tests
that stop it, break it, or inspect its complete state. All other files share one service.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.service.http_clients import Operator, Tenant, connect_operator
from tests.e2e.service.service_process import ServiceProcess, run_service
from tests.e2e.service.shared_service import SharedService


@pytest.fixture(scope="module")
def service(
    request: pytest.FixtureRequest,
    shared_service: SharedService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ServiceProcess]:
    options: tuple[str, ...] | None = getattr(request.module, "SERVE", None)
    if options is None:
        with shared_service.borrow() as running:
            yield running
    else:
        with run_service(tmp_path_factory.mktemp("service") / "data", *options) as running:
            yield running


@pytest.fixture
async def operator(service: ServiceProcess) -> AsyncIterator[Operator]:
    async with connect_operator(service) as operator:
        yield operator


@pytest.fixture
async def tenant(operator: Operator) -> Tenant:
    return await operator.create_tenant()


@pytest.fixture
async def other(operator: Operator) -> Tenant:
    """A second tenant of the same service."""
    return await operator.create_tenant()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory for a service that the test starts."""
    return tmp_path / "data"
