"""A service for each file, and tenants of its own for each test.

A file that names options has a service to itself: ``SERVE = ()`` is for tests that end it, break
it or look at all that it ever did. The other files share one.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.service.http_clients import Operator, Tenant, speaking_to
from tests.e2e.service.service_process import Running, serving
from tests.e2e.service.shared_service import SharedService


@pytest.fixture(scope="module")
def service(
    request: pytest.FixtureRequest,
    shared_service: SharedService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    options: tuple[str, ...] | None = getattr(request.module, "SERVE", None)
    if options is None:
        with shared_service.lent() as running:
            yield running
    else:
        with serving(tmp_path_factory.mktemp("service") / "data", *options) as running:
            yield running


@pytest.fixture
async def operator(service: Running) -> AsyncIterator[Operator]:
    async with speaking_to(service) as operator:
        yield operator


@pytest.fixture
async def tenant(operator: Operator) -> Tenant:
    return await operator.tenant()


@pytest.fixture
async def other(operator: Operator) -> Tenant:
    """Another tenant of the same service."""
    return await operator.tenant()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """For a service of the test's own."""
    return tmp_path / "data"
