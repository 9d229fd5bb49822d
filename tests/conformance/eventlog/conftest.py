"""A stage on every supported database."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.conformance.eventlog.conformance import PLATFORMS, Platform, Stage


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """Capture log events, for assertions on injected failures and a quiet terminal."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture(params=sorted(PLATFORMS))
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Platform:
    name: str = request.param
    return PLATFORMS[name](tmp_path)


@pytest.fixture
async def stage(platform: Platform) -> AsyncIterator[Stage]:
    stage = Stage(platform)
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()
