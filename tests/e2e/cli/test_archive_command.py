"""`quorate log archive`, and the commands that read archive files with --archive."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from quorate.eventlog.archive import archiver as archive_module
from quorate.runtime.process_lock import DataDirLock
from tests.e2e.cli.cli_process import Tenant
from tests.e2e.cli.conftest import TENANT, RecordedLog, Run
from tests.e2e.cli.terminal import Terminal
from tests.e2e.service.service_process import ServiceProcess
from tests.support.postgres import PostgresServer

EVENTS_PER_FILE = 50


@pytest.fixture
def data_dir(
    recorded_log: RecordedLog, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A data directory whose old log was archived."""
    path = tmp_path / "data"
    path.mkdir()
    shutil.copy(recorded_log.data_dir / "quorate.db", path)
    monkeypatch.setattr(archive_module.Archiver.move, "__defaults__", (EVENTS_PER_FILE,))
    result = run("log", "archive", "--data-dir", path, tmp_path / "archive")
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture
def archive(data_dir: Path) -> Path:
    return data_dir.parent / "archive"


@pytest.fixture
def terminal(run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal with the tenant key and a service on the rest of the log."""
    running = ServiceProcess(data_dir).start()
    monkeypatch.setenv("QUORATE_DATA_DIR", str(data_dir))
    terminal = Terminal(run, monkeypatch)
    try:
        key = terminal.run_quiet(
            "keys", "issue", "--as-operator", "--tenant", TENANT, "--role", "tenant"
        )
        terminal.set_key(key)
        yield terminal
    finally:
        running.end()


# -- Operator ---------------------------------------------------------------------


def test_log_with_archive_files_is_verified(run: Run, data_dir: Path, archive: Path) -> None:
    result = run("log", "verify", "--data-dir", data_dir, "--archive", archive, "--json")

    found = orjson.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["ok"], found["archivedChecked"]) == (True, True)
    assert found["archived"] == found["head"] > EVENTS_PER_FILE
    assert run("rebuild", "--check", "--data-dir", data_dir, "--archive", archive).exit_code == 0


def test_verify_without_archive_checks_the_rest_and_says_so(run: Run, data_dir: Path) -> None:
    result = run("log", "verify", "--data-dir", data_dir)

    assert result.exit_code == 0
    assert "are archived: verify them with --archive" in result.stdout


@pytest.mark.parametrize("command", ["log verify", "rebuild --check", "rebuild", "backup"])
def test_missing_archive_file_is_named_by_every_command(
    run: Run, data_dir: Path, archive: Path, command: str
) -> None:
    missing = sorted(archive.iterdir())[1]
    missing.unlink()

    words = [*command.split(), "--data-dir", str(data_dir), "--archive", str(archive)]
    result = run(*words, *(["out.backup"] if command == "backup" else []))

    assert result.exit_code == 1
    assert f"{missing.name} is missing" in result.stderr
    assert not Path("out.backup").exists()


@pytest.mark.parametrize("command", ["rebuild --check", "rebuild", "backup"])
def test_command_that_needs_the_archive_requests_it(run: Run, data_dir: Path, command: str) -> None:
    words = [*command.split(), "--data-dir", str(data_dir)]
    result = run(*words, *(["out.backup"] if command == "backup" else []))

    assert result.exit_code == 1
    assert "--archive" in result.stderr


def test_backup_restores_an_archived_log(
    run: Run, recorded_log: RecordedLog, data_dir: Path, archive: Path, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.backup", tmp_path / "other.backup"
    run("backup", "--data-dir", recorded_log.data_dir, one)
    assert run("backup", "--data-dir", data_dir, "--archive", archive, other).exit_code == 0

    assert run("restore", "--data-dir", tmp_path / "again", other).exit_code == 0
    again = run("log", "verify", "--data-dir", tmp_path / "again", "--json")
    assert orjson.loads(again.stdout)["archived"] == 0
    heads = [
        orjson.loads(run("restore", "--check", "--json", one).stdout)["head"]
        for one in (one, other)
    ]
    assert heads[0] == heads[1]


def test_oldest_removed_accepts_missing_first_files(
    run: Run, data_dir: Path, archive: Path
) -> None:
    min(archive.iterdir()).unlink()
    words = ("log", "verify", "--data-dir", data_dir, "--archive", archive)

    assert run(*words).exit_code == 1
    allowed = run(*words, "--oldest-removed")
    assert allowed.exit_code == 0
    assert f"from position {EVENTS_PER_FILE + 1}." in allowed.stdout


def test_archive_fails_while_a_service_uses_the_data_directory(
    run: Run, data_dir: Path, archive: Path
) -> None:
    with DataDirLock(data_dir):
        result = run("log", "archive", "--data-dir", data_dir, archive)

    assert result.exit_code == 1
    assert "in use by process" in result.stderr


def test_second_archive_run_moves_nothing(run: Run, data_dir: Path, archive: Path) -> None:
    before = sorted(archive.iterdir())

    result = run("log", "archive", "--data-dir", data_dir, archive)

    assert result.exit_code == 0
    assert "Nothing archived" in result.stdout
    assert sorted(archive.iterdir()) == before


def test_archive_on_postgres_runs_beside_a_service(
    run: Run, recorded_log: RecordedLog, postgres: PostgresServer, tmp_path: Path
) -> None:
    url, file, folder = postgres.empty_url(), tmp_path / "q.backup", tmp_path / "archive"
    where = ("--database-url", url)
    assert run("backup", "--data-dir", recorded_log.data_dir, file).exit_code == 0
    assert run("restore", *where, file).exit_code == 0
    running = ServiceProcess(tmp_path / "data", *where).start()
    try:
        tenant = Tenant(running, "globex")
        tenant.register("ann")
        archived = run("log", "archive", *where, "--json", folder)
        tenant.lease("ann", "kim@example.com")
        tenant.close()
        assert run("log", "verify", *where, "--archive", folder).exit_code == 0
        assert run("rebuild", "--check", *where, "--archive", folder).exit_code == 0
    finally:
        running.end()
    assert orjson.loads(archived.stdout)["files"][0]["first"] == 1


# -- Auditor ----------------------------------------------------------------------


@pytest.mark.usefixtures("terminal")
def test_export_with_archive_equals_the_earlier_export(
    run: Run, recorded_log: RecordedLog, archive: Path
) -> None:
    """The export continues with the events in the database."""
    result = run("events", "export", "log.jsonl", "--archive", archive)

    assert result.exit_code == 0, result.stderr
    exported = Path("log.jsonl").read_bytes().splitlines(keepends=True)
    assert exported[: len(recorded_log.lines)] == recorded_log.lines
    assert len(exported) > len(recorded_log.lines)
    assert run("verify", "log.jsonl").exit_code == 0


@pytest.mark.usefixtures("terminal")
def test_export_without_archive_names_the_first_available_event(
    run: Run, recorded_log: RecordedLog
) -> None:
    rejected = run("events", "export", "log.jsonl")

    last = len(recorded_log.lines)
    assert rejected.exit_code == 1
    assert f"Events up to {last - 1} were archived" in rejected.stderr
    assert f"begin after event {last} with --after" in rejected.stderr
    assert not Path("log.jsonl").exists()
    assert run("events", "export", "log.jsonl", "--after", str(last)).exit_code == 0
    assert run("events", "export", "log.jsonl", "--after", str(last - 2)).exit_code == 1


@pytest.mark.usefixtures("terminal")
def test_partial_export_is_verified_and_replayed_with_archive(
    run: Run, recorded_log: RecordedLog, archive: Path
) -> None:
    assert run("events", "export", "all.jsonl", "--archive", archive).exit_code == 0
    last = len(recorded_log.lines)
    Path("rest.jsonl").write_bytes(
        b"".join(Path("all.jsonl").read_bytes().splitlines(keepends=True)[last:])
    )

    complete = orjson.loads(run("verify", "--json", "all.jsonl").stdout)
    joined = orjson.loads(run("verify", "--json", "rest.jsonl", "--archive", archive).stdout)
    assert joined == complete
    assert run("verify", "rest.jsonl").exit_code == 1
    for moment in ((), ("--until", str(last // 2))):
        replayed = run("replay", "--json", "all.jsonl", *moment)
        joined_replay = run("replay", "--json", "rest.jsonl", "--archive", archive, *moment)
        assert replayed.exit_code == 0
        assert joined_replay.stdout == replayed.stdout
    head_option = ("--head", recorded_log.head_hash(3))
    assert run("verify", "rest.jsonl", "--archive", archive, *head_option).exit_code == 0


@pytest.mark.usefixtures("terminal")
def test_watch_reports_archived_events(run: Run, recorded_log: RecordedLog) -> None:
    result = run("watch", "--after", "0", "--count", "1")

    assert result.exit_code == 0, result.stderr
    assert f"Events up to {len(recorded_log.lines) - 1} were archived" in result.stderr


# -- Without a service -------------------------------------------------------------


def _cut(log: Path, after: int) -> Path:
    path = log.with_name("rest.jsonl")
    path.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[after:]))
    return path


def test_export_from_any_position_continues_the_archive(run: Run, log: Path, archive: Path) -> None:
    complete = run("verify", "--json", log).stdout

    for after in (0, 1, 7, 40):
        path = _cut(log, after)
        assert run("verify", "--json", path, "--archive", archive).stdout == complete


def test_modified_export_does_not_match_the_archive(run: Run, log: Path, archive: Path) -> None:
    path = _cut(log, 40)
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first.replace(b'"actor":"keytenant"', b'"actor":"keyother"') + b"\n" + rest)

    result = run("verify", path, "--archive", archive)

    assert result.exit_code == 1
    assert "is the one before event 41" in result.stderr


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_gap_between_archive_and_export_is_detected(
    run: Run, log: Path, archive: Path, command: str
) -> None:
    min(archive.iterdir()).unlink()

    result = run(command, _cut(log, 40), "--archive", archive)

    assert result.exit_code == 1
    assert "is missing" in result.stderr


def test_empty_directory_is_not_an_archive(run: Run, log: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    result = run("verify", _cut(log, 40), "--archive", tmp_path / "empty")

    assert result.exit_code == 1
    assert "contains no archive files" in result.stderr
