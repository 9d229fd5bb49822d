"""One service for each file, and tenants of its own for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.service.callers import Operator, Tenant, speaking_to
from tests.service.running import Running, serving


@pytest.fixture(scope="module")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One service for all tests of a file, started with the options that the file names."""
    options: tuple[str, ...] = getattr(request.module, "SERVE", ())
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
