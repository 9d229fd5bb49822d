"""`quorate log archive`, and the verbs that read what it put away: together with its files a log
tells the same as before, and without them each verb says what is missing.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from quorate.eventlog.archive import archiver as archive_module
from quorate.runtime.process_lock import DataDirLock
from tests.e2e.cli.cli_process import Tenant
from tests.e2e.cli.conftest import TENANT, Lived, Run
from tests.e2e.cli.terminal import Terminal
from tests.e2e.service.service_process import Running
from tests.support.postgres import PostgresServer

EVENTS_PER_FILE = 50


@pytest.fixture
def data_dir(lived: Lived, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose whole log was lived long ago, and archived."""
    path = tmp_path / "data"
    path.mkdir()
    shutil.copy(lived.data_dir / "quorate.db", path)
    monkeypatch.setattr(archive_module.Archiver.move, "__defaults__", (EVENTS_PER_FILE,))
    result = run("log", "archive", "--data-dir", path, tmp_path / "archive")
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture
def archive(data_dir: Path) -> Path:
    return data_dir.parent / "archive"


@pytest.fixture
def at(run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """With the tenant's key, at a service that runs on what is left in the database."""
    running = Running(data_dir).start()
    monkeypatch.setenv("QUORATE_DATA_DIR", str(data_dir))
    terminal = Terminal(run, monkeypatch)
    try:
        key = terminal.id("keys", "issue", "--as-operator", "--tenant", TENANT, "--role", "tenant")
        terminal.holds(key)
        yield terminal
    finally:
        running.end()


# -- The operator -----------------------------------------------------------------


def test_the_whole_log_is_found_whole_with_its_files(
    run: Run, data_dir: Path, archive: Path
) -> None:
    result = run("log", "verify", "--data-dir", data_dir, "--archive", archive, "--json")

    found = orjson.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["ok"], found["archivedChecked"]) == (True, True)
    assert found["archived"] == found["head"] > EVENTS_PER_FILE
    assert run("rebuild", "--check", "--data-dir", data_dir, "--archive", archive).exit_code == 0


def test_without_the_files_only_the_rest_is_checked_and_that_is_said(
    run: Run, data_dir: Path
) -> None:
    result = run("log", "verify", "--data-dir", data_dir)

    assert result.exit_code == 0
    assert "were archived: look at them with --archive" in result.stdout


@pytest.mark.parametrize("verb", ["log verify", "rebuild --check", "rebuild", "backup"])
def test_a_missing_file_is_named_by_every_verb_that_needs_it(
    run: Run, data_dir: Path, archive: Path, verb: str
) -> None:
    missing = sorted(archive.iterdir())[1]
    missing.unlink()

    words = [*verb.split(), "--data-dir", str(data_dir), "--archive", str(archive)]
    result = run(*words, *(["out.backup"] if verb == "backup" else []))

    assert result.exit_code == 1
    assert f"{missing.name} is missing" in result.stderr
    assert not Path("out.backup").exists()


@pytest.mark.parametrize("verb", ["rebuild --check", "rebuild", "backup"])
def test_a_verb_that_needs_the_files_asks_for_them(run: Run, data_dir: Path, verb: str) -> None:
    words = [*verb.split(), "--data-dir", str(data_dir)]
    result = run(*words, *(["out.backup"] if verb == "backup" else []))

    assert result.exit_code == 1
    assert "--archive" in result.stderr


def test_an_archived_log_comes_back_whole_from_its_backup(
    run: Run, lived: Lived, data_dir: Path, archive: Path, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.backup", tmp_path / "other.backup"
    run("backup", "--data-dir", lived.data_dir, one)
    assert run("backup", "--data-dir", data_dir, "--archive", archive, other).exit_code == 0

    assert run("restore", "--data-dir", tmp_path / "again", other).exit_code == 0
    again = run("log", "verify", "--data-dir", tmp_path / "again", "--json")
    assert orjson.loads(again.stdout)["archived"] == 0
    heads = [
        orjson.loads(run("restore", "--check", "--json", one).stdout)["head"]
        for one in (one, other)
    ]
    assert heads[0] == heads[1]


def test_the_oldest_may_be_removed_if_that_is_said(run: Run, data_dir: Path, archive: Path) -> None:
    min(archive.iterdir()).unlink()
    words = ("log", "verify", "--data-dir", data_dir, "--archive", archive)

    assert run(*words).exit_code == 1
    allowed = run(*words, "--oldest-removed")
    assert allowed.exit_code == 0
    assert f"from position {EVENTS_PER_FILE + 1} on" in allowed.stdout


def test_a_service_must_not_run_on_the_same_folder(run: Run, data_dir: Path, archive: Path) -> None:
    with DataDirLock(data_dir):
        result = run("log", "archive", "--data-dir", data_dir, archive)

    assert result.exit_code == 1
    assert "in use by process" in result.stderr


def test_there_is_nothing_to_do_twice(run: Run, data_dir: Path, archive: Path) -> None:
    before = sorted(archive.iterdir())

    result = run("log", "archive", "--data-dir", data_dir, archive)

    assert result.exit_code == 0
    assert "Nothing to do" in result.stdout
    assert sorted(archive.iterdir()) == before


def test_on_postgres_the_service_goes_on_meanwhile(
    run: Run, lived: Lived, postgres: PostgresServer, tmp_path: Path
) -> None:
    url, file, folder = postgres.empty_url(), tmp_path / "q.backup", tmp_path / "archive"
    where = ("--database-url", url)
    assert run("backup", "--data-dir", lived.data_dir, file).exit_code == 0
    assert run("restore", *where, file).exit_code == 0
    running = Running(tmp_path / "data", *where).start()
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


# -- The auditor ------------------------------------------------------------------


@pytest.mark.usefixtures("at")
def test_an_export_with_the_files_is_what_it_was_before(
    run: Run, lived: Lived, archive: Path
) -> None:
    """And goes on with what has happened since."""
    result = run("events", "export", "log.jsonl", "--archive", archive)

    assert result.exit_code == 0, result.stderr
    exported = Path("log.jsonl").read_bytes().splitlines(keepends=True)
    assert exported[: len(lived.lines)] == lived.lines
    assert len(exported) > len(lived.lines)
    assert run("verify", "log.jsonl").exit_code == 0


@pytest.mark.usefixtures("at")
def test_an_export_without_the_files_says_where_it_could_begin(run: Run, lived: Lived) -> None:
    refused = run("events", "export", "log.jsonl")

    last = len(lived.lines)
    assert refused.exit_code == 1
    assert f"Events up to {last - 1} were archived" in refused.stderr
    assert f"begin after event {last} with --after" in refused.stderr
    assert not Path("log.jsonl").exists()
    assert run("events", "export", "log.jsonl", "--after", str(last)).exit_code == 0
    assert run("events", "export", "log.jsonl", "--after", str(last - 2)).exit_code == 1


@pytest.mark.usefixtures("at")
def test_the_rest_of_a_log_is_verified_and_replayed_together_with_the_files(
    run: Run, lived: Lived, archive: Path
) -> None:
    assert run("events", "export", "all.jsonl", "--archive", archive).exit_code == 0
    last = len(lived.lines)
    Path("rest.jsonl").write_bytes(
        b"".join(Path("all.jsonl").read_bytes().splitlines(keepends=True)[last:])
    )

    whole = orjson.loads(run("verify", "--json", "all.jsonl").stdout)
    joined = orjson.loads(run("verify", "--json", "rest.jsonl", "--archive", archive).stdout)
    assert joined == whole
    assert run("verify", "rest.jsonl").exit_code == 1
    for moment in ((), ("--until", str(last // 2))):
        told = run("replay", "--json", "all.jsonl", *moment)
        joined_told = run("replay", "--json", "rest.jsonl", "--archive", archive, *moment)
        assert told.exit_code == 0
        assert joined_told.stdout == told.stdout
    kept = ("--head", lived.kept(3))
    assert run("verify", "rest.jsonl", "--archive", archive, *kept).exit_code == 0


@pytest.mark.usefixtures("at")
def test_a_watcher_is_told_what_does_not_come(run: Run, lived: Lived) -> None:
    result = run("watch", "--after", "0", "--count", "1")

    assert result.exit_code == 0, result.stderr
    assert f"Events up to {len(lived.lines) - 1} were archived" in result.stderr


# -- Without any service -----------------------------------------------------------


def _cut(log: Path, after: int) -> Path:
    path = log.with_name("rest.jsonl")
    path.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[after:]))
    return path


def test_a_file_goes_with_the_archive_wherever_it_begins(
    run: Run, log: Path, archive: Path
) -> None:
    whole = run("verify", "--json", log).stdout

    for after in (0, 1, 7, 40):
        path = _cut(log, after)
        assert run("verify", "--json", path, "--archive", archive).stdout == whole


def test_a_file_that_was_changed_does_not_go_with_it(run: Run, log: Path, archive: Path) -> None:
    path = _cut(log, 40)
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first.replace(b'"actor":"keytenant"', b'"actor":"keyother"') + b"\n" + rest)

    result = run("verify", path, "--archive", archive)

    assert result.exit_code == 1
    assert "is the one before event 41" in result.stderr


@pytest.mark.parametrize("verb", ["verify", "replay"])
def test_a_gap_between_file_and_archive_is_found(
    run: Run, log: Path, archive: Path, verb: str
) -> None:
    min(archive.iterdir()).unlink()

    result = run(verb, _cut(log, 40), "--archive", archive)

    assert result.exit_code == 1
    assert "is missing" in result.stderr


def test_an_empty_folder_is_no_archive(run: Run, log: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    result = run("verify", _cut(log, 40), "--archive", tmp_path / "empty")

    assert result.exit_code == 1
    assert "holds no archive files" in result.stderr
