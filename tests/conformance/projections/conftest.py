"""A log with a life behind it, lived once and copied for each test."""

import asyncio
from pathlib import Path

import pytest

from tests.conformance.projections.random_history import Town


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lived") / "quorate.db"

    async def live() -> None:
        async with Town(path, seed=2) as town:
            await town.live(rounds=60)

    asyncio.run(live())
    return path


@pytest.fixture
def history(lived: Path, tmp_path: Path) -> Path:
    """A database that nobody is using, to be spoiled at will."""
    path = tmp_path / "quorate.db"
    path.write_bytes(lived.read_bytes())
    return path
