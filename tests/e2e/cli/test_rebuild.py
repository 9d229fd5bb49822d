"""`quorate rebuild`: exclusive, except for --check."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from quorate.runtime.process_lock import DataDirLock, Locked
from tests.e2e.cli.conftest import RecordedLog, Run


@pytest.fixture
def data_dir(recorded_log: RecordedLog, tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    shutil.copy(recorded_log.data_dir / "quorate.db", path)
    return path


def execute_sql(data_dir: Path, statement: str) -> None:
    with closing(sqlite3.connect(data_dir / "quorate.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_check_of_a_valid_database_finds_no_difference(run: Run, data_dir: Path) -> None:
    result = run("rebuild", "--check", "--data-dir", data_dir)

    assert result.exit_code == 0
    assert "match the" in result.stdout


def test_check_finds_edited_rows_and_rebuild_repairs_them(run: Run, data_dir: Path) -> None:
    execute_sql(
        data_dir, "UPDATE agents SET role = 'king' WHERE name_key = 'ann' AND tenant = 'acme'"
    )

    found = run("rebuild", "--check", "--data-dir", data_dir)
    rebuilt = run("rebuild", "--data-dir", data_dir)
    after = run("rebuild", "--check", "--data-dir", data_dir)

    assert (found.exit_code, rebuilt.exit_code, after.exit_code) == (1, 0, 0)
    for words in ("agents", "role", "king"):
        assert words in found.stdout
    assert "1 difference" in found.stderr
    assert "Rebuilt" in rebuilt.stdout


def test_check_prints_differences_as_json(run: Run, data_dir: Path) -> None:
    execute_sql(data_dir, "UPDATE tenants SET created_at = 7 WHERE id = 'acme'")

    result = run("rebuild", "--check", "--json", "--data-dir", data_dir)

    found = orjson.loads(result.stdout)
    assert result.exit_code == 1
    assert found["differences"] == 1
    assert found["named"][0] | {"rebuilt": None} == {
        "table": "tenants",
        "key": {"id": "acme"},
        "column": "created_at",
        "live": 7,
        "rebuilt": None,
    }


def test_rebuild_prints_its_speed_as_json(run: Run, data_dir: Path) -> None:
    found = orjson.loads(run("rebuild", "--json", "--data-dir", data_dir).stdout)

    assert set(found) == {"events", "rows", "seconds", "eventsPerSecond"}
    assert found["events"] > found["rows"] > 0


def test_data_directory_in_use_can_be_checked_but_not_rebuilt(run: Run, data_dir: Path) -> None:
    with DataDirLock(data_dir):
        rejected = run("rebuild", "--data-dir", data_dir)
        checked = run("rebuild", "--check", "--data-dir", data_dir)

    assert rejected.exit_code == 1
    assert f"in use by process {os.getpid()}" in rejected.stderr
    assert checked.exit_code == 0


def test_data_directory_comes_from_the_environment(
    run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORATE_DATA_DIR", str(data_dir))

    assert run("rebuild", "--check").exit_code == 0


def test_rebuild_reports_a_data_directory_without_a_log(run: Run, tmp_path: Path) -> None:
    result = run("rebuild", "--data-dir", tmp_path)

    assert result.exit_code == 1
    assert result.stderr == f"Error: No event log found at {tmp_path / 'quorate.db'}.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", [True, False])
def test_invalid_database_file_is_reported(run: Run, tmp_path: Path, check: bool) -> None:
    (tmp_path / "quorate.db").write_bytes(b"not a database" * 1_000)

    result = run("rebuild", *(["--check"] if check else []), "--data-dir", tmp_path)

    assert result.exit_code == 1
    assert "Cannot use the database" in result.stderr
    assert result.stderr.count("\n") == 1


def test_rebuild_rejects_a_corrupted_log(run: Run, data_dir: Path) -> None:
    execute_sql(data_dir, "DROP TRIGGER events_no_delete")
    execute_sql(data_dir, "DELETE FROM events WHERE position = 9")

    result = run("rebuild", "--data-dir", data_dir)

    assert result.exit_code == 1
    assert "The event log is corrupted" in result.stderr


# -- Lock -------------------------------------------------------------------------


def test_lock_names_its_owner_and_ends_with_it(tmp_path: Path) -> None:
    first, second = DataDirLock(tmp_path), DataDirLock(tmp_path)
    first.acquire()

    with pytest.raises(Locked, match=f"process {os.getpid()}"):
        second.acquire()
    first.release()
    with second:
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_stale_lock_file_does_not_block(tmp_path: Path) -> None:
    """The lock file of a killed process does not block."""
    (tmp_path / "lock").write_text("999999\n")

    with DataDirLock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
