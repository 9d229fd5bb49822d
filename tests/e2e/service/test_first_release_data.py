"""This version upgrades the data of the first release without loss."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.projections.test_migrations import create_first_release
from tests.e2e.service.service_process import (
    FREE_PORTS,
    ServiceProcess,
    environment,
    run_until_exit,
)

REBUILD_SECONDS_MAX = 60.0


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    create_first_release(folder / "quorate.db")
    return folder


def quorate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=REBUILD_SECONDS_MAX,
        check=False,
    )


def test_start_upgrades_the_data_of_the_first_release(data_dir: Path) -> None:
    ServiceProcess(data_dir).start().stop()

    checked = quorate("rebuild", "--check", "--no-json", "--data-dir", str(data_dir))

    assert checked.returncode == 0, checked.stderr
    assert "All" in checked.stdout


def test_old_data_can_be_verified_before_the_upgrade(data_dir: Path) -> None:
    there = ("--no-json", "--data-dir", str(data_dir))

    due = quorate("db", "check", *there)
    done = quorate("db", "upgrade", *there)
    again = quorate("db", "upgrade", *there)

    assert (due.returncode, done.returncode, again.returncode) == (1, 0, 0)
    assert "from 0001" in due.stderr
    assert done.stdout.startswith("Upgraded from 0001")
    assert again.stdout.startswith("No upgrade needed")
    assert quorate("db", "check", *there).returncode == 0


def test_corrupted_log_is_reported_and_not_changed(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / "quorate.db")) as database:
        (made,) = database.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'events_no_delete'"
        ).fetchone()
        database.execute("DROP TRIGGER events_no_delete")
        database.execute("DELETE FROM events WHERE position = 7")
        database.execute(made)
        database.commit()

    refused = run_until_exit(data_dir, *FREE_PORTS)

    assert refused.returncode == 1
    assert "older version of Quorate" in refused.stderr
    assert "corrupted" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_upgrade_is_rejected_while_a_service_runs(data_dir: Path) -> None:
    running = ServiceProcess(data_dir).start()
    try:
        refused = quorate("db", "upgrade", "--data-dir", str(data_dir))
    finally:
        running.stop()

    assert refused.returncode == 1
    assert "Upgraded" not in refused.stdout
