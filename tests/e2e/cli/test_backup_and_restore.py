"""`quorate backup` and `quorate restore`: beside a running service, and into an empty place."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from quorate.runtime.process_lock import DataDirLock
from tests.e2e.cli.conftest import Lived, Run
from tests.e2e.cli.terminal import Terminal
from tests.e2e.service.service_process import Running
from tests.support.postgres import PostgresServer

CONTACT = "kim@example.com"


@pytest.fixture
def file(run: Run, lived: Lived, tmp_path: Path) -> Path:
    path = tmp_path / "quorate.backup"
    assert run("backup", "--data-dir", lived.data_dir, path).exit_code == 0
    return path


def test_what_a_running_service_holds_comes_back_elsewhere(
    run: Run, real: Running, tenant: Terminal, tmp_path: Path
) -> None:
    """Keys, leases and the answers under idempotency keys too: agents notification nothing."""
    tenant.acts_as("ann")
    lease = tenant.gets("agents", "lease", "--contact-email", CONTACT)
    file, data_dir = tmp_path / "quorate.backup", tmp_path / "elsewhere"

    saved = run("backup", "--data-dir", real.data_dir, file)
    back = run("restore", "--data-dir", data_dir, file)

    assert (saved.exit_code, back.exit_code) == (0, 0), back.stderr
    shutil.copy(real.data_dir / "credentials.json", data_dir)
    elsewhere = Running(data_dir).start()
    try:
        leases = tenant.gets("agents", "leases", "--url", elsewhere.url)
        assert [one["id"] for one in leases] == [lease["id"]]
    finally:
        elsewhere.end()
    assert run("rebuild", "--check", "--data-dir", data_dir).exit_code == 0


def test_a_log_moves_to_postgres_and_back(
    run: Run, file: Path, postgres: PostgresServer, tmp_path: Path
) -> None:
    url, again = postgres.empty_url(), tmp_path / "again.backup"

    assert run("restore", "--database-url", url, file).exit_code == 0
    assert run("backup", "--database-url", url, again).exit_code == 0
    assert run("rebuild", "--check", "--database-url", url).exit_code == 0

    one, other = (
        orjson.loads(run("restore", "--check", "--json", each).stdout) for each in (file, again)
    )
    for name in ("events", "answers", "head", "lastEventAt"):
        assert one[name] == other[name]


def test_a_backup_goes_to_a_pipe(run: Run, lived: Lived, tmp_path: Path) -> None:
    result = run("backup", "--data-dir", lived.data_dir, "-")

    path = tmp_path / "piped.backup"
    path.write_bytes(result.stdout_bytes)
    assert run("restore", "--check", path).exit_code == 0
    assert "stdout holds" in result.stderr


def test_a_backup_is_for_its_owner_only_and_takes_the_place_of_the_last(
    run: Run, lived: Lived, file: Path
) -> None:
    file.write_bytes(b"last month's")

    assert run("backup", "--data-dir", lived.data_dir, file).exit_code == 0

    assert file.stat().st_mode & 0o777 == 0o600
    assert run("restore", "--check", file).exit_code == 0
    assert [path.name for path in file.parent.glob("*partial*")] == []


def test_the_head_that_was_kept_is_the_backups(run: Run, file: Path) -> None:
    kept = run("restore", "--check", file).stdout.split("Head: ")[1].strip()

    right = run("restore", "--check", "--head", kept, file)
    wrong = run("restore", "--check", "--head", f"{'1'}:{'0' * 64}", file)
    not_one = run("restore", "--check", "--head", "123", file)

    assert (right.exit_code, wrong.exit_code, not_one.exit_code) == (0, 1, 2)
    assert "another backup" in wrong.stderr


def test_a_database_in_the_way_is_left_alone(run: Run, lived: Lived, file: Path) -> None:
    before = (lived.data_dir / "quorate.db").read_bytes()

    result = run("restore", "--data-dir", lived.data_dir, file)

    assert result.exit_code == 1
    assert "is not empty" in result.stderr
    assert (lived.data_dir / "quorate.db").read_bytes() == before


@pytest.mark.parametrize("kept", [0, 200, -1])
def test_a_backup_that_was_cut_off_makes_nothing(
    run: Run, file: Path, tmp_path: Path, kept: int
) -> None:
    file.write_bytes(file.read_bytes()[:kept])

    result = run("restore", "--data-dir", tmp_path / "data", file)

    assert result.exit_code == 1
    assert "is damaged at line" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_folder_in_use_is_not_restored_into(run: Run, file: Path, tmp_path: Path) -> None:
    with DataDirLock(tmp_path):
        result = run("restore", "--data-dir", tmp_path, file)

    assert result.exit_code == 1
    assert f"in use by process {os.getpid()}" in result.stderr
    assert not (tmp_path / "quorate.db").exists()


def test_a_damaged_log_leaves_the_last_backup_where_it_is(
    run: Run, lived: Lived, file: Path, tmp_path: Path
) -> None:
    shutil.copy(lived.data_dir / "quorate.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "quorate.db")) as connection:
        connection.execute("DROP TRIGGER events_no_update")
        connection.execute("UPDATE events SET actor = 'keyother' WHERE position = 9")
        connection.commit()
    before = file.read_bytes()

    result = run("backup", "--data-dir", tmp_path, file)

    assert result.exit_code == 1
    assert "The log is damaged: position 9" in result.stderr
    assert file.read_bytes() == before


def test_a_folder_without_a_log_is_told(run: Run, tmp_path: Path) -> None:
    result = run("backup", "--data-dir", tmp_path, tmp_path / "quorate.backup")

    assert result.exit_code == 1
    assert result.stderr == f"Error: There is no log at {tmp_path / 'quorate.db'}.\n"
    assert list(tmp_path.glob("*backup*")) == []


def test_a_place_that_cannot_be_written_is_told(run: Run, lived: Lived, tmp_path: Path) -> None:
    result = run("backup", "--data-dir", lived.data_dir, tmp_path / "missing" / "quorate.backup")

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
