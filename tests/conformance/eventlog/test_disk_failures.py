"""Failures of a real disk: a failing sync, a full device, a flipped bit.

These tests know that the log is a SQLite file; tests for every database are in the other files.
"""

import asyncio
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from quorate.eventlog.database import SchemaOutdated
from quorate.eventlog.envelopes import Accepted, Unavailable
from quorate.eventlog.event_filter import Filter
from quorate.eventlog.event_store import EventStore, LogCorrupted
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.sqlite import database as sqlite_database
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections.migrations.schema import SCHEMA
from tests.conformance.eventlog import golden_commands, log_writer
from tests.conformance.eventlog.conformance import TENANT, WAIT_SECONDS_MAX, Sqlite, Stage
from tests.e2e.service.service_process import environment
from tests.support.paths import ROOT
from tests.support.small_disk import LEFT_BYTES, fill_disk, small_disk
from tests.unit.support.sample_commands import acquire, register

COMMANDS = 8
DEVICE_BYTES = 16 * 1024 * 1024
ATTEMPTS_MAX = 2_000
REFUSED_IN_A_ROW = 5
FLIPS = 200


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Stage]:
    stage = Stage(Sqlite(folder))
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()


# -- Failing sync --------------------------------------------------------------


def traced(folder: Path, when: str) -> list[list[str]]:
    """Return the output of a writer whose fdatasync calls fail; ``when`` has strace's syntax."""
    tracer = [
        *("strace", "-f", "-qq", "-o", str(folder / "strace"), "-e", "trace=fdatasync"),
        *("-e", f"inject=fdatasync:error=EIO:when={when}"),
    ]
    writer = [sys.executable, "-m", log_writer.__name__, str(folder), str(COMMANDS)]
    done = subprocess.run(
        [*tracer, *writer],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(),
        timeout=WAIT_SECONDS_MAX,
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("when", ["1", "3", "5+2", "3+"])
async def test_acknowledged_commands_survive_any_failing_sync(tmp_path: Path, when: str) -> None:
    async with opened(tmp_path) as stage:
        await stage.execute(register("first"))
    output = await asyncio.to_thread(traced, tmp_path, when)

    assert output[0] == ["opened"]
    assert output[-1] == ["closed"]
    assert ["logged", "log.write_failed"] in output
    async with opened(tmp_path) as stage:
        events = await stage.events()
        await stage.log.verify_range(0, len(events))
        for name, sequence in _acknowledged(output):
            assert events[int(sequence) - 1].data.decode().count(f'"{name}"') == 1
        unknown = [line[1] for line in output if line[0] == log_writer.UNKNOWN]
        for name in unknown:  # After a retry each is executed once.
            await stage.execute(register(name))
        assert sorted({*unknown}) == sorted(unknown)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
async def test_no_command_is_acknowledged_between_failure_and_verification(tmp_path: Path) -> None:
    async with opened(tmp_path) as stage:
        await stage.execute(register("first"))
    output = await asyncio.to_thread(traced, tmp_path, "3+")

    suspect = False
    for line in output:
        if line[0] == "logged":
            suspect = line[1] != "log.writes_recovered"
        assert not (suspect and line[0] == log_writer.ACKNOWLEDGED)
    assert sum(line == ["logged", "log.writes_recovered"] for line in output) >= 1


def _acknowledged(output: list[list[str]]) -> list[tuple[str, str]]:
    return [(line[1], line[2]) for line in output if line[0] == log_writer.ACKNOWLEDGED]


# -- Full device ---------------------------------------------------------------


@contextmanager
def limited(folder: Path) -> Iterator[None]:
    """Limit the file size of this process to the current size of the log."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = max(path.stat().st_size for path in folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + LEFT_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_full_device_rejects_commands_and_serves_readers(tmp_path: Path) -> None:
    with small_disk(tmp_path, DEVICE_BYTES) as folder:
        async with opened(folder) as stage:
            await stage.create_agents("ann")
            with fill_disk(folder):
                acknowledged = await _write_until_refused(stage)
                await _assert_it_reads(stage, acknowledged)
            await _assert_it_writes_again(stage, acknowledged)


async def test_file_size_limit_rejects_commands_and_serves_readers(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as stage:
        await stage.create_agents("ann")
        with limited(tmp_path):
            acknowledged = await _write_until_refused(stage)
            await _assert_it_reads(stage, acknowledged)
        await _assert_it_writes_again(stage, acknowledged)


async def _write_until_refused(stage: Stage) -> list[int]:
    """Write until several commands are rejected: a new connection may find a little more space."""
    acknowledged: list[int] = []
    rejected = 0
    for number in range(ATTEMPTS_MAX):
        try:
            result = await stage.submit(register(f"agent{number}", role="x" * 4_000))
        except Unavailable:
            rejected += 1
            if rejected == REFUSED_IN_A_ROW:
                return acknowledged
        else:
            assert isinstance(result, Accepted)
            acknowledged.append(result.sequence)
            rejected = 0
    raise AssertionError("it never got full")


async def _assert_it_reads(stage: Stage, acknowledged: list[int]) -> None:
    page = await stage.log.page(TENANT, 0, limit=1_000, conditions=Filter())
    assert page.head >= max(acknowledged, default=2)


async def _assert_it_writes_again(stage: Stage, acknowledged: list[int]) -> None:
    """Assert that writes work without a restart, and that all acknowledged events exist."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            try:
                await stage.execute(acquire("ann"))
                break
            except Unavailable:
                await asyncio.sleep(0.01)
    events = await stage.events(TENANT)
    assert set(acknowledged) <= {event.sequence for event in events}
    await stage.log.verify_range(0, await stage.log.committed_head())


# -- Recovery --------------------------------------------------------------------


async def test_log_continues_in_a_new_file_after_an_error(tmp_path: Path) -> None:
    """Data written while the disk failed may exist in the kernel's memory only, even when it is
    written again, so the log must not depend on the old file.
    """
    (tmp_path / "log").mkdir()
    async with opened(tmp_path / "log") as stage:
        await stage.execute(register("first"))
        before = await stage.events()  # The reader keeps the old file open.
        await stage.log.reopen()
        assert (tmp_path / "log" / "quorate.db-wal").stat().st_size == 0
        (tmp_path / "kept").mkdir()
        shutil.copy(tmp_path / "log" / "quorate.db", tmp_path / "kept")
    async with opened(tmp_path / "kept") as stage:
        assert await stage.events() == before


async def test_database_is_not_touched_while_the_disk_rejects_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "TRIAL_BYTES", DEVICE_BYTES)
    async with opened(tmp_path) as stage:
        await stage.execute(register("first"))
        before = (tmp_path / "quorate.db").read_bytes()
        with (
            limited(tmp_path),
            pytest.raises(DatabaseUnavailable, match="Cannot write to the data directory"),
        ):
            await stage.log.reopen()
        assert (tmp_path / "quorate.db").read_bytes() == before

        await stage.log.reopen()
        await stage.execute(register("second"))


# -- Flipped bits --------------------------------------------------------------


async def test_flipped_bit_is_detected_unless_it_changes_no_event(tmp_path: Path) -> None:
    """E8: a log that verifies reads exactly as it was written."""
    original = tmp_path / "original"
    original.mkdir()
    async with opened(original) as stage:
        await golden_commands.tell(stage)
        events = await stage.events()
    whole = (original / "quorate.db").read_bytes()
    chance = random.Random(8)
    found = 0
    for number in range(FLIPS):
        folder = tmp_path / str(number)
        folder.mkdir()
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        (folder / "quorate.db").write_bytes(flipped)
        found += await _is_found_or_harmless(folder, events)

    assert found > FLIPS // 20


async def _is_found_or_harmless(folder: Path, events: list[RecordedEvent]) -> bool:
    log = EventStore(Sqlite(folder).database())
    try:
        await log.open(SCHEMA)
        await log.verify_range(0, await log.committed_head())
        read = await log.after(0, limit=100)
    except (DatabaseUnavailable, LogCorrupted, SchemaOutdated):
        return True
    finally:
        await log.close()
    # A truncated log verifies; only a checkpoint reveals the missing end.
    assert read == events[: len(read)]
    return False
