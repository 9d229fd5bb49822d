"""`quorate backup` beside a running service, and `quorate restore` into an empty database."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from quorate.eventlog.hash_chain import EVENT_FIELDS, GENESIS, link
from quorate.runtime.process_lock import DataDirLock
from tests.conformance.projections.backup_files import Line, lines, seal
from tests.e2e.cli.conftest import RecordedLog, Run
from tests.e2e.cli.terminal import Terminal
from tests.e2e.service.service_process import ServiceProcess
from tests.support.postgres import PostgresServer

CONTACT = "kim@example.com"


@pytest.fixture
def file(run: Run, recorded_log: RecordedLog, tmp_path: Path) -> Path:
    path = tmp_path / "quorate.backup"
    assert run("backup", "--data-dir", recorded_log.data_dir, path).exit_code == 0
    return path


def test_backup_of_a_running_service_is_restored_elsewhere(
    run: Run, real: ServiceProcess, tenant: Terminal, tmp_path: Path
) -> None:
    """Keys, leases and stored responses are restored, so agents are not affected."""
    tenant.set_agent("ann")
    lease = tenant.run_json("agents", "lease", "--contact-email", CONTACT)
    file, data_dir = tmp_path / "quorate.backup", tmp_path / "elsewhere"

    saved = run("backup", "--data-dir", real.data_dir, file)
    back = run("restore", "--data-dir", data_dir, file)

    assert (saved.exit_code, back.exit_code) == (0, 0), back.stderr
    shutil.copy(real.data_dir / "credentials.json", data_dir)
    elsewhere = ServiceProcess(data_dir).start()
    try:
        leases = tenant.run_json("agents", "leases", "--url", elsewhere.url)
        assert [one["id"] for one in leases] == [lease["id"]]
    finally:
        elsewhere.end()
    assert run("rebuild", "--check", "--data-dir", data_dir).exit_code == 0


def test_log_is_restored_to_postgres_and_back(
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


def test_backup_writes_to_stdout(run: Run, recorded_log: RecordedLog, tmp_path: Path) -> None:
    result = run("backup", "--data-dir", recorded_log.data_dir, "-")

    path = tmp_path / "piped.backup"
    path.write_bytes(result.stdout_bytes)
    assert run("restore", "--check", path).exit_code == 0
    assert "stdout contains" in result.stderr


def test_backup_is_owner_only_and_replaces_the_last(
    run: Run, recorded_log: RecordedLog, file: Path
) -> None:
    file.write_bytes(b"last month's")

    assert run("backup", "--data-dir", recorded_log.data_dir, file).exit_code == 0

    assert file.stat().st_mode & 0o777 == 0o600
    assert run("restore", "--check", file).exit_code == 0
    assert [path.name for path in file.parent.glob("*partial*")] == []


def test_restore_compares_the_head_hash(run: Run, file: Path) -> None:
    head_hash = run("restore", "--check", file).stdout.split("Head hash: ")[1].strip()

    right = run("restore", "--check", "--head", head_hash, file)
    wrong = run("restore", "--check", "--head", f"{'1'}:{'0' * 64}", file)
    not_one = run("restore", "--check", "--head", "123", file)

    assert (right.exit_code, wrong.exit_code, not_one.exit_code) == (0, 1, 2)
    assert "a different backup" in wrong.stderr


def _rewrite(file: Path, change: Callable[[list[Line]], None]) -> None:
    """Rewrite a backup and its seal, like an attacker who knows the format."""
    rows = lines(file.read_bytes())
    change(rows)
    file.write_bytes(seal(rows))


def _add_a_response(rows: list[Line]) -> None:
    answer = {"tenant": "acme", "caller": "key_1", "command": "AcquireLease", "key": "k"}
    outcome = {"fingerprint": "00" * 32, "code": None, "body": '{"leaseId":"mine"}'}
    when = {"sequence": 1, "at": rows[0]["madeAt"]}
    rows.insert(-1, {"answer": answer | outcome | when})
    rows[-1]["end"]["answers"] += 1


def _change_the_time_of_the_backup(rows: list[Line]) -> None:
    rows[0]["madeAt"] = "2001-01-01T00:00:00.000Z"


def _change_another_tenant(rows: list[Line]) -> None:
    """Change an event, and recompute the chain of its tenant, but not that of the last event."""
    until = rows[0]["until"]["position"]  # Responses and contents follow the last event.
    last = rows[until]["tenant"]
    head = GENESIS.hash
    others = [row for row in rows[1 : until + 1] if row["tenant"] != last]
    for row in others:
        row["actor"] = "key_rewritten"
        body = {name: row[name] for name in EVENT_FIELDS - {"hash"}}
        head = link(head, body)
        row["hash"] = head.hex()
    assert others


@pytest.mark.parametrize(
    "change", [_add_a_response, _change_the_time_of_the_backup, _change_another_tenant]
)
def test_head_hash_covers_the_whole_file(
    run: Run, file: Path, change: Callable[[list[Line]], None]
) -> None:
    head_hash = run("restore", "--check", file).stdout.split("Head hash: ")[1].strip()
    _rewrite(file, change)

    without = run("restore", "--check", file)
    result = run("restore", "--check", "--head", head_hash, file)

    assert without.exit_code == 0, without.stderr  # So only the head hash shows the change.
    assert (result.exit_code, "a different backup" in result.stderr) == (1, True)


def test_head_hash_of_an_earlier_version_is_accepted_with_a_warning(run: Run, file: Path) -> None:
    until = lines(file.read_bytes())[0]["until"]

    result = run("restore", "--check", "--head", f"{until['position']}:{until['hash']}", file)

    assert result.exit_code == 0
    assert "covers only the events of one tenant" in result.stderr


def test_restore_leaves_a_nonempty_database_unchanged(
    run: Run, recorded_log: RecordedLog, file: Path
) -> None:
    before = (recorded_log.data_dir / "quorate.db").read_bytes()

    result = run("restore", "--data-dir", recorded_log.data_dir, file)

    assert result.exit_code == 1
    assert "is not empty" in result.stderr
    assert (recorded_log.data_dir / "quorate.db").read_bytes() == before


@pytest.mark.parametrize("length", [0, 200, -1])
def test_restore_of_a_truncated_backup_creates_nothing(
    run: Run, file: Path, tmp_path: Path, length: int
) -> None:
    file.write_bytes(file.read_bytes()[:length])

    result = run("restore", "--data-dir", tmp_path / "data", file)

    assert result.exit_code == 1
    assert "is corrupted at line" in result.stderr
    assert not (tmp_path / "data").exists()


def test_restore_fails_while_a_service_uses_the_data_directory(
    run: Run, file: Path, tmp_path: Path
) -> None:
    with DataDirLock(tmp_path):
        result = run("restore", "--data-dir", tmp_path, file)

    assert result.exit_code == 1
    assert f"in use by process {os.getpid()}" in result.stderr
    assert not (tmp_path / "quorate.db").exists()


def test_backup_of_a_corrupted_log_keeps_the_last_backup(
    run: Run, recorded_log: RecordedLog, file: Path, tmp_path: Path
) -> None:
    shutil.copy(recorded_log.data_dir / "quorate.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "quorate.db")) as connection:
        connection.execute("DROP TRIGGER events_no_update")
        connection.execute("UPDATE events SET actor = 'keyother' WHERE position = 9")
        connection.commit()
    before = file.read_bytes()

    result = run("backup", "--data-dir", tmp_path, file)

    assert result.exit_code == 1
    assert "The event log is corrupted: position 9" in result.stderr
    assert file.read_bytes() == before


def test_backup_reports_a_data_directory_without_a_log(run: Run, tmp_path: Path) -> None:
    result = run("backup", "--data-dir", tmp_path, tmp_path / "quorate.backup")

    assert result.exit_code == 1
    assert result.stderr == f"Error: No event log found at {tmp_path / 'quorate.db'}.\n"
    assert list(tmp_path.glob("*backup*")) == []


def test_unwritable_target_is_reported(run: Run, recorded_log: RecordedLog, tmp_path: Path) -> None:
    result = run(
        "backup", "--data-dir", recorded_log.data_dir, tmp_path / "missing" / "quorate.backup"
    )

    assert result.exit_code == 1
    assert "Cannot write" in result.stderr
