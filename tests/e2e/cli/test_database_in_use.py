"""A database file that a service uses is refused, whatever the path and the data directory."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.runtime.process_lock import DataDirLock
from tests.e2e.cli.conftest import RecordedLog, Run
from tests.e2e.service.service_process import FREE_PORTS, ServiceProcess, run_until_exit

SCHEME = "sqlite+aiosqlite:///"


@pytest.fixture
def symbolic_link(real: ServiceProcess, tmp_path: Path) -> Path:
    link = tmp_path / "link.db"
    link.symlink_to(real.database)
    return link


@pytest.fixture
def hard_link(real: ServiceProcess) -> Iterator[Path]:
    link = real.data_dir / "link.db"
    link.hardlink_to(real.database)
    yield link
    link.unlink()


def test_commands_that_write_are_refused(
    run: Run, real: ServiceProcess, symbolic_link: Path, recorded_log: RecordedLog, tmp_path: Path
) -> None:
    backup, other = tmp_path / "quorate.backup", tmp_path / "other"
    other.mkdir()
    assert run("backup", "--data-dir", recorded_log.data_dir, backup).exit_code == 0
    for command in (
        ("rebuild",),
        ("log", "archive", tmp_path / "archive"),
        ("restore", backup),
        ("db", "upgrade"),
    ):
        url = f"{SCHEME}{symbolic_link}"
        result = run(*command, "--data-dir", other, "--database-url", url)

        assert result.exit_code == 1, command
        assert f"in use by process {real.pid}: stop it first" in result.stderr


def test_commands_that_read_are_not_refused(run: Run, symbolic_link: Path, tmp_path: Path) -> None:
    for command in (
        ("rebuild", "--check"),
        ("log", "verify"),
        ("backup", tmp_path / "quorate.backup"),
        ("db", "check"),
    ):
        url = f"{SCHEME}{symbolic_link}"
        result = run(*command, "--data-dir", tmp_path, "--database-url", url)

        assert result.exit_code == 0, (command, result.stderr)


def test_no_command_uses_a_hard_link(run: Run, hard_link: Path, tmp_path: Path) -> None:
    """Not even to read: the newest events are in the write-ahead log of the other name."""
    for command in (("rebuild",), ("backup", tmp_path / "quorate.backup"), ("log", "verify")):
        url = f"{SCHEME}{hard_link}"
        result = run(*command, "--data-dir", tmp_path, "--database-url", url)

        assert result.exit_code == 1, command
        assert any(reason in result.stderr for reason in ("in use by", "2 names (hard links)"))


def test_second_service_is_refused(
    real: ServiceProcess, symbolic_link: Path, tmp_path: Path
) -> None:
    url = f"{SCHEME}{symbolic_link}"
    ended = run_until_exit(tmp_path / "other", *FREE_PORTS, "--database-url", url)

    assert ended.returncode == 1
    assert f"in use by process {real.pid}: stop it first" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_data_directory_in_use_does_not_concern_another_database(
    run: Run, recorded_log: RecordedLog, tmp_path: Path
) -> None:
    copy, in_use = tmp_path / "copy.db", tmp_path / "in-use"
    shutil.copy(recorded_log.data_dir / "quorate.db", copy)
    in_use.mkdir()

    with DataDirLock(in_use):
        result = run("rebuild", "--data-dir", in_use, "--database-url", f"{SCHEME}{copy}")

    assert result.exit_code == 0, result.stderr
