"""A backup contains the complete log or is rejected. A restored database equals the original,
on each kind of database.
"""

import asyncio
import gzip
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from quorate.eventlog.archive.backup import LogEmpty, verify_backup
from quorate.eventlog.archive.export_format import FileCorrupted
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore, LogCorrupted
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.restore import DatabaseNotEmpty
from tests.conformance.eventlog.conformance import PLATFORMS
from tests.conformance.projections import backup_files
from tests.conformance.projections.backup_files import (
    Line,
    backup_of,
    content,
    last_response,
    lines,
    pack,
    restore_from,
    seal,
)
from tests.conformance.projections.test_twins import run_history
from tests.e2e.service.service_process import environment
from tests.support.paths import FIRST_RELEASE
from tests.support.postgres import PostgresServer

COMMANDS = 250
SEED = 3
BACKUPS_MAX = 3
KINDS = sorted(PLATFORMS)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "quorate.db"

    async def record() -> None:
        async with run_history(SqliteDatabase(path), SEED, COMMANDS, mail=False):
            pass

    asyncio.run(record())
    return path


@pytest.fixture(scope="module")
def backup(original: Path) -> bytes:
    return asyncio.run(backup_of(SqliteDatabase(original)))


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return PLATFORMS[request.param](tmp_path).database()


# -- Backup and restore ------------------------------------------------------------


async def test_restored_tables_equal_the_original(
    original: Path, backup: bytes, empty: Database
) -> None:
    result = await restore_from(empty, backup)

    tables = await content(empty)
    assert tables == await content(SqliteDatabase(original))
    assert result.seal.events == len(tables["events"])
    assert result.seal.answers == len(tables["answers"]) > 0


async def test_backup_of_a_restored_database_is_identical(backup: bytes, empty: Database) -> None:
    """Restore from SQLite into each kind of database, and back it up again."""
    await restore_from(empty, backup)

    assert await backup_of(empty) == backup


async def test_restore_creates_missing_tables(postgres: PostgresServer, backup: bytes) -> None:
    database = PostgresDatabase(postgres.empty_url())

    await restore_from(database, backup)

    assert await backup_of(database) == backup


async def test_log_of_the_first_release_is_backed_up_without_upgrade(
    tmp_path: Path, empty: Database
) -> None:
    path = tmp_path / "first.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_RELEASE.read_text())

    result = await restore_from(empty, await backup_of(SqliteDatabase(path)))

    assert result.rows > 0


async def test_restored_log_accepts_new_events(backup: bytes, empty: Database) -> None:
    await restore_from(empty, backup)
    log = EventStore(empty)
    await log.open(SCHEMA)
    try:
        head = await log.committed_head()
        await log.verify_range(0, head)
    finally:
        await log.close()

    async with run_history(empty, SEED + 1, 20) as random_history:
        assert await random_history.log.committed_head() > head
        await random_history.log.verify_range(0, await random_history.log.committed_head())


async def test_backup_is_one_snapshot_during_concurrent_writes(
    empty: Database, tmp_path: Path
) -> None:
    async with run_history(empty, SEED, 20) as random_history:
        first = await random_history.log.committed_head()
        history_task = asyncio.create_task(random_history.run(40))
        backups: list[bytes] = []
        while not history_task.done() and len(backups) < BACKUPS_MAX:
            backups.append(await backup_files.back_up_open_database(random_history.log.database))
        await history_task
        last = await random_history.log.committed_head()

    for number, one in enumerate(backups):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = await restore_from(SqliteDatabase(folder / "quorate.db"), one)
        assert first <= result.seal.events <= last
    assert len(backups) > 1


async def test_backup_rejects_an_empty_log(empty: Database) -> None:
    await empty.define(SCHEMA.prepare)

    with pytest.raises(LogEmpty):
        await backup_of(empty)


async def test_backup_rejects_a_corrupted_log(tmp_path: Path, backup: bytes) -> None:
    platform = PLATFORMS["sqlite"](tmp_path)
    await restore_from(platform.database(), backup)
    platform.overwrite("UPDATE events SET actor = 'keyother' WHERE position = 9")

    with pytest.raises(LogCorrupted, match="position 9"):
        await backup_of(platform.database())


# -- Manipulated files ---------------------------------------------------------------


@pytest.mark.parametrize("forgery", backup_files.FORGERIES, ids=lambda one: one.__name__)
async def test_forged_backup_is_rejected(
    backup: bytes, forgery: Callable[[list[Line]], None], tmp_path: Path
) -> None:
    rows = lines(backup)
    forgery(rows)
    path = tmp_path / "quorate.db"

    with pytest.raises(FileCorrupted):
        verify_backup(BytesIO(pack(rows)))
    with pytest.raises(FileCorrupted):
        await restore_from(SqliteDatabase(path), pack(rows))

    assert not _has_content(path)


def test_repacked_backup_is_valid(backup: bytes) -> None:
    """Control test: packing the rows again does not make a file invalid."""
    assert verify_backup(BytesIO(pack(lines(backup)))).seal == verify_backup(BytesIO(backup)).seal


def test_truncated_backup_is_rejected(backup: bytes) -> None:
    for length in (0, 1, 10, *range(100, len(backup), len(backup) // 20), len(backup) - 1):
        with pytest.raises(FileCorrupted):
            verify_backup(BytesIO(backup[:length]))


def test_any_changed_byte_is_detected(backup: bytes) -> None:
    """Except in the gzip header, whose bytes do not affect the content."""
    for place in range(10, len(backup), len(backup) // 40):
        changed = bytearray(backup)
        changed[place] ^= 0x10
        with pytest.raises(FileCorrupted):
            verify_backup(BytesIO(bytes(changed)))


@pytest.mark.parametrize(
    "behind", [b"\0", b"x", gzip.compress(b"", mtime=0), gzip.compress(b"{}\n", mtime=0)], ids=str
)
def test_bytes_behind_the_end_are_rejected(backup: bytes, behind: bytes) -> None:
    with pytest.raises(FileCorrupted, match="continues after its end"):
        verify_backup(BytesIO(backup + behind))


ILL_TYPED: list[tuple[str, Any]] = [
    *(("tenant", 5), ("caller", None), ("command", ["IssueKey"]), ("key", "")),
    *(("key", "k" * 257), ("fingerprint", "00"), ("fingerprint", 7), ("code", 1)),
    *(("code", "lease_held\0"), ("body", {}), ("body", "no json"), ("body", None)),
    *(("sequence", "1"), ("sequence", True), ("sequence", -1), ("sequence", 2**63)),
    *(("sequence", 1.5), ("at", 0), ("at", "yesterday"), ("more", "fields")),
]


@pytest.mark.parametrize(("name", "value"), ILL_TYPED, ids=str)
async def test_ill_typed_response_is_rejected(
    backup: bytes, name: str, value: object, tmp_path: Path
) -> None:
    """Although the seal is right, like that of an attacker who knows the format."""
    rows = lines(backup)
    last_response(rows)[name] = value
    path = tmp_path / "quorate.db"

    with pytest.raises(FileCorrupted, match="is not a stored response"):
        verify_backup(BytesIO(seal(rows)))
    with pytest.raises(FileCorrupted):
        await restore_from(SqliteDatabase(path), seal(rows))
    assert not _has_content(path)


def test_response_of_another_value_is_accepted(backup: bytes) -> None:
    """Control test: what is rejected above is the type."""
    rows = lines(backup)
    last_response(rows)["key"] = "another"

    assert verify_backup(BytesIO(seal(rows))).seal != verify_backup(BytesIO(backup)).seal


async def test_backup_that_begins_later_is_rejected(backup: bytes, tmp_path: Path) -> None:
    rows = lines(backup)
    heads = {row["tenant"]: [row["sequence"], row["hash"]] for row in rows[1:6]}
    rows[0]["after"] = {"position": 5, "heads": heads}
    del rows[1:6]
    rows[-1]["end"]["events"] -= 5

    with pytest.raises(FileCorrupted, match="begins with the first event"):
        verify_backup(BytesIO(seal(rows)))
    with pytest.raises(FileCorrupted, match="begins with the first event"):
        await restore_from(SqliteDatabase(tmp_path / "quorate.db"), seal(rows))


@pytest.mark.parametrize("version", [0, -1, 2**31])
def test_event_of_an_impossible_version_is_rejected(backup: bytes, version: int) -> None:
    rows = lines(backup)
    rows[9]["version"] = version

    with pytest.raises(FileCorrupted):
        verify_backup(BytesIO(seal(rows)))


# -- Atomic restore --------------------------------------------------------------------


async def test_restore_rejects_a_database_with_a_log(backup: bytes, empty: Database) -> None:
    await restore_from(empty, backup)
    before = await content(empty)

    with pytest.raises(DatabaseNotEmpty):
        await restore_from(empty, backup)

    assert await content(empty) == before


@pytest.mark.parametrize("kind", KINDS)
async def test_restore_of_a_truncated_file_leaves_the_database_empty(
    backup: bytes, kind: str, tmp_path: Path
) -> None:
    platform = PLATFORMS[kind](tmp_path)
    rows = lines(backup)
    backup_files.remove_the_seal(rows)

    with pytest.raises(FileCorrupted):
        await restore_from(platform.database(), pack(rows))

    assert await _events(platform.database()) == 0
    await restore_from(platform.database(), backup)
    assert await backup_of(platform.database()) == backup


KILLED_RESTORE = """
import asyncio, os, signal, sys
from pathlib import Path
from quorate.eventlog.database_url import create_database
from quorate.projections.restore import restore

calls = 0

def progress(done, of):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

with open(sys.argv[2], "rb") as file:
    asyncio.run(restore(create_database(sys.argv[1]), file, progress))
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", [1, 2])
async def test_killed_restore_leaves_nothing_and_can_be_repeated(
    backup: bytes, kind: str, moment: int, tmp_path: Path
) -> None:
    """Kill it once after the events are written, and once while the projections are built."""
    platform = PLATFORMS[kind](tmp_path)
    url = getattr(platform, "url", f"sqlite:///{tmp_path / 'quorate.db'}")
    file = backup_files.backup_file(tmp_path, backup)

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED_RESTORE, url, str(file), str(moment)), env=environment()
    )

    assert await process.wait() == -signal.SIGKILL
    assert await _events(platform.database()) == 0
    await restore_from(platform.database(), backup)
    assert await backup_of(platform.database()) == backup


def _has_content(path: Path) -> bool:
    return path.stat().st_size > 0


async def _events(database: Database) -> int:
    await database.define(SCHEMA.prepare)
    return len((await content(database))["events"])
