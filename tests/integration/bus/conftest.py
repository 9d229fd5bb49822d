"""The NATS service with an embedded server, or on a separate one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.bus.embedded.configuration import service_keys
from quorate.bus.embedded.server import EmbeddedServer
from quorate.bus.service import FOLDER
from tests.integration.bus.stage import Stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """The NATS service with an embedded server."""
    stage = Stage(tmp_path)
    await stage.nats_service.start()
    try:
        yield stage
    finally:
        await stage.close()


@pytest.fixture
async def apart(tmp_path: Path) -> AsyncIterator[Stage]:
    """The NATS service, not started yet, on a separate server."""
    keys = service_keys(tmp_path / "service" / FOLDER)
    server = EmbeddedServer(tmp_path / "server", keys)
    await server.start()
    stage = Stage(tmp_path / "service", server)
    try:
        yield stage
    finally:
        await stage.close()
