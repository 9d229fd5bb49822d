"""A log with a history, restored into each database, and an archive directory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.eventlog.event_store import EventStore
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.migrations.schema import SCHEMA
from tests.conformance.eventlog.conformance import PLATFORMS, ObservedDatabase, Platform
from tests.conformance.projections.backup_files import backup_of, restore_from
from tests.conformance.projections.test_twins import run_history

COMMANDS = 180
SEED = 4


@pytest.fixture(scope="session")
def backup(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("original") / "quorate.db"

    async def live() -> bytes:
        async with run_history(SqliteDatabase(path), SEED, COMMANDS, mail=False):
            pass
        return await backup_of(SqliteDatabase(path))

    return asyncio.run(live())


@pytest.fixture(params=sorted(PLATFORMS))
async def platform(request: pytest.FixtureRequest, tmp_path: Path, backup: bytes) -> Platform:
    platform = PLATFORMS[request.param](tmp_path)
    await restore_from(platform.database(), backup)
    return platform


@pytest.fixture
async def log(platform: Platform) -> AsyncIterator[EventStore]:
    log = EventStore(ObservedDatabase(platform.database()))
    await log.open(SCHEMA)
    try:
        yield log
    finally:
        await log.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.mkdir()
    return path
