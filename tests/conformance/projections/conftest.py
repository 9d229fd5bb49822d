"""A log with a life behind it, lived once and copied for each test."""

import asyncio
from pathlib import Path

import pytest

from tests.conformance.projections.random_history import RandomHistory


@pytest.fixture(scope="session")
def run_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lived") / "quorate.db"

    async def live() -> None:
        async with RandomHistory(path, seed=2) as random_history:
            await random_history.run(rounds=60)

    asyncio.run(live())
    return path


@pytest.fixture
def history(run_history: Path, tmp_path: Path) -> Path:
    """A database that nobody is using, to be spoiled at will."""
    path = tmp_path / "quorate.db"
    path.write_bytes(run_history.read_bytes())
    return path
