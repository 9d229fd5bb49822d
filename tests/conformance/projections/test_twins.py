"""The same commands, ids and clock give the same log and results, byte by byte, on two databases.

QUORATE_TWINS_COMMANDS and QUORATE_TWINS_SEED set the number of commands and the seed.
"""

import hashlib
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.domain.shared.state import Command
from quorate.eventlog.archive.export_format import encode_line
from quorate.eventlog.database import Database
from quorate.eventlog.envelopes import Accepted, Idempotency, Rejected
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.sqlite.database import SqliteDatabase
from tests.conformance.projections.random_history import (
    COMMANDS_PER_ROUND_MAX,
    TENANTS,
    RandomHistory,
)
from tests.support.postgres import PostgresServer

COMMANDS = int(os.environ.get("QUORATE_TWINS_COMMANDS", "1200"))
SEED = int(os.environ.get("QUORATE_TWINS_SEED", "1"))
COMMANDS_PER_ROUND = (1 + COMMANDS_PER_ROUND_MAX) / 2
KEYS = 12
KEYED_SHARE = 0.3
REJECTIONS_MIN = 8  # Distinct codes: a history without rejections would prove little.


class Twin(RandomHistory):
    """A random history with idempotency keys, some of them used before."""

    def __init__(self, database: Database, seed: int, *, mail: bool = True) -> None:
        super().__init__(database, seed, mail=mail)
        self._keyed = random.Random(seed)

    def _idempotency(self, command: Command) -> Idempotency | None:
        if self._keyed.random() > KEYED_SHARE:
            return None
        number = self._keyed.randrange(KEYS)
        request = f"{number % 7}-{self._keyed.random() < 0.2}"
        return Idempotency(
            caller="keytenant",
            command=type(command).__name__,
            key=f"key-{number}",
            fingerprint=hashlib.sha256(request.encode()).digest(),
        )

    async def export_all(self) -> dict[str, bytes]:
        return {
            tenant: b"".join(encode_line(dict(event)) for event in await self.events(tenant))
            for tenant in TENANTS
        }


@asynccontextmanager
async def run_history(
    database: Database, seed: int, commands: int, *, mail: bool = True
) -> AsyncIterator[Twin]:
    async with Twin(database, seed, mail=mail) as twin:
        await twin.run(round(commands / COMMANDS_PER_ROUND))
        yield twin


async def test_two_databases_record_the_same_log_and_results(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    on_sqlite = SqliteDatabase(tmp_path / "quorate.db")
    on_postgres = PostgresDatabase(postgres.database_url())
    async with (
        run_history(on_sqlite, SEED, COMMANDS) as one,
        run_history(on_postgres, SEED, COMMANDS) as other,
    ):
        assert one.results == other.results
        assert await one.export_all() == await other.export_all()

        rejections = {answer.code for answer in one.results if isinstance(answer, Rejected)}
        assert len(rejections) >= REJECTIONS_MIN
        assert any(isinstance(answer, Accepted) and answer.replayed for answer in one.results)
        assert len(one.results) > 0.8 * COMMANDS


async def test_different_clock_changes_log_and_results(tmp_path: Path) -> None:
    """Control test: one millisecond in the middle changes both the log and the results."""
    paths = (tmp_path / "one.db", tmp_path / "other.db")
    async with (
        run_history(SqliteDatabase(paths[0]), SEED, 200) as one,
        Twin(SqliteDatabase(paths[1]), SEED) as other,
    ):
        await other.run(6)
        other.now = type(other.now)(other.now + 1)
        await other.run(round(200 / COMMANDS_PER_ROUND) - 6)

        assert one.results != other.results
        assert await one.export_all() != await other.export_all()
