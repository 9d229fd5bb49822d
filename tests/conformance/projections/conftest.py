"""A database with a random history, recorded once and copied for each test."""

import asyncio
from pathlib import Path

import pytest

from tests.conformance.projections.random_history import RandomHistory


@pytest.fixture(scope="session")
def recorded_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "quorate.db"

    async def record() -> None:
        async with RandomHistory(path, seed=9) as random_history:
            await random_history.run(rounds=50)

    asyncio.run(record())
    return path


@pytest.fixture
def history(recorded_history: Path, tmp_path: Path) -> Path:
    """A closed database that a test may modify."""
    path = tmp_path / "quorate.db"
    path.write_bytes(recorded_history.read_bytes())
    return path
