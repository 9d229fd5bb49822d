"""Bodies of archived events are exported with those of events in the database."""

import sqlite3
from pathlib import Path

import orjson
import pytest

from tests.e2e.cli.conftest import Run
from tests.e2e.service.service_process import ServiceProcess

ANN, BOB = ("--agent-name", "ann"), ("--agent-name", "bob")
SECRETS = [f"secret number {number}" for number in range(4)]


def send(run: Run, target: tuple[str, ...], text: str) -> str:
    sent = run("mail", "send", *ANN, "--to", "bob", "--body", text, "--quiet", *target)
    assert sent.exit_code == 0, sent.stderr
    return sent.stdout.strip()


@pytest.fixture
def data_dir(run: Run, tmp_path: Path) -> Path:
    """A log with two messages, of which the first one is erased; all events are archived."""
    data_dir, archive = tmp_path / "data", tmp_path / "archive"
    running = ServiceProcess(data_dir).start()
    target = ("--url", running.url, "--api-key", running.api_key)
    for name in ("ann", "bob"):
        assert run("agents", "register", name, *target).exit_code == 0
    erased, _, _ = [send(run, target, text) for text in SECRETS[:3]]
    assert run("mail", "erase", erased, "--yes", *target).exit_code == 0
    export = run("events", "export", tmp_path / "before.jsonl", "--with-bodies", *target)
    running.end()
    assert "2 message bodies written; 1 were erased.\n" in export.stdout
    archived = run("log", "archive", "--data-dir", data_dir, archive)
    assert archived.exit_code == 0, archived.stderr
    return data_dir


def test_export_has_archived_and_live_bodies_and_says_which_are_erased(
    run: Run, data_dir: Path, tmp_path: Path
) -> None:
    file, archive = tmp_path / "log.jsonl", tmp_path / "archive"
    before = (tmp_path / "before.jsonl").read_bytes()
    running = ServiceProcess(data_dir).start()
    target = ("--url", running.url, "--api-key", running.api_key)
    send(run, target, SECRETS[3])
    exporting = ("events", "export", "--with-bodies", "--archive", archive, *target)

    exported = run(*exporting, file, "--json")
    again = run("events", "export", tmp_path / "plain.jsonl", "--archive", archive, *target)
    found = orjson.loads(run("mail", "inbox", *BOB, "--json", *target).stdout)
    late = found["messages"][-2]["message_id"]  # Its event is archived, its erasure is not.
    assert run("mail", "erase", late, "--yes", *target).exit_code == 0
    last = run(*exporting, tmp_path / "late.jsonl", "--json")
    running.end()

    assert exported.exit_code == again.exit_code == 0, exported.stderr
    assert orjson.loads(exported.stdout)["bodies"] == {"written": 3, "erased": 1, "missing": 0}
    assert orjson.loads(last.stdout)["bodies"] == {"written": 2, "erased": 2, "missing": 0}
    assert file.read_bytes().startswith(before)
    verified = orjson.loads(run("verify", file, "--json").stdout)
    assert verified["contents"] == {"verified": 3, "erased": 1, "missing": 0}
    plain = orjson.loads(run("verify", tmp_path / "plain.jsonl", "--json").stdout)
    assert plain["contents"] == {"verified": 0, "erased": 1, "missing": 3}
    assert plain["head"] == verified["head"]


def test_changed_body_of_an_archived_event_stops_the_export(
    run: Run, data_dir: Path, tmp_path: Path
) -> None:
    database = sqlite3.connect(data_dir / "quorate.db")
    with database:
        sql = "UPDATE message_bodies SET body = ? WHERE body = ?"
        changed = database.execute(sql, (b"SECRET number 1", SECRETS[1].encode())).rowcount
    database.close()
    assert changed == 1
    running = ServiceProcess(data_dir).start()
    target = ("--url", running.url, "--api-key", running.api_key)

    file = tmp_path / "log.jsonl"
    exported = run(
        *("events", "export", file, "--with-bodies", "--archive", tmp_path / "archive", *target)
    )
    running.end()

    assert exported.exit_code == 1
    assert "the service sent another body" in exported.stderr
    assert not file.exists()
