"""`quorate events export`: the file is complete and verified, or it does not exist."""

import json
from pathlib import Path
from socket import create_server

import orjson
import pytest
from click.testing import Result

from quorate.cli.commands import export as export_command
from tests.e2e.cli.conftest import RecordedLog, Run
from tests.e2e.cli.fake_event_server import KEY, FakeEventServer


@pytest.fixture(autouse=True)
def _short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_command, "PAGE_TIMEOUT_SECONDS", 0.2)


@pytest.fixture
def export(run: Run, service: FakeEventServer) -> Run:
    def run_export(*arguments: str | Path) -> Result:
        return run("events", "export", *arguments, "--url", service.url, "--api-key", KEY)

    return run_export


def test_exported_file_verifies_with_the_printed_command(
    export: Run, run: Run, recorded_log: RecordedLog, tmp_path: Path
) -> None:
    result = export("log.jsonl")

    count = len(recorded_log.lines)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "log.jsonl").read_bytes() == b"".join(recorded_log.lines)
    assert f"{count} events written to log.jsonl" in result.stdout
    printed = result.stdout.splitlines()[-1].split()
    assert printed == ["quorate", "verify", "log.jsonl", "--head", recorded_log.head_hash(count)]
    assert run(*printed[1:]).exit_code == 0


def test_export_prints_the_head_hash_as_json(export: Run, recorded_log: RecordedLog) -> None:
    count = len(recorded_log.lines)

    found = orjson.loads(export("log.jsonl", "--after", "10", "--json").stdout)

    assert found == {
        "file": "log.jsonl",
        "events": count - 10,
        "previous": {"sequence": 10, "hash": recorded_log.events[9]["hash"]},
        "head": {"sequence": count, "hash": recorded_log.events[-1]["hash"]},
    }


def test_export_reads_the_log_in_pages(
    export: Run, service: FakeEventServer, recorded_log: RecordedLog
) -> None:
    export("log.jsonl")

    assert service.requested == list(range(0, len(recorded_log.lines), service.page_length))


def test_export_after_prints_the_previous_hash(
    export: Run, run: Run, recorded_log: RecordedLog, tmp_path: Path
) -> None:
    result = export("log.jsonl", "--after", "10")

    assert (tmp_path / "log.jsonl").read_bytes() == b"".join(recorded_log.lines[10:])
    printed = result.stdout.splitlines()[-1].split()
    assert printed[-2:] == ["--previous", recorded_log.events[9]["hash"]]
    assert run(*printed[1:]).exit_code == 0


def test_export_to_stdout_writes_only_events(export: Run, recorded_log: RecordedLog) -> None:
    result = export("-")

    assert result.stdout_bytes == b"".join(recorded_log.lines)
    assert "quorate verify" in result.stderr


def test_continue_appends_after_the_last_event(
    export: Run, service: FakeEventServer, recorded_log: RecordedLog, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(recorded_log.lines[:10]))

    result = export("log.jsonl", "--continue")

    assert service.requested[0] == 10
    assert path.read_bytes() == b"".join(recorded_log.lines)
    assert f"{len(recorded_log.lines) - 10} events written" in result.stdout
    assert "--previous" not in result.stdout


@pytest.mark.parametrize("content", [b"", b"garbage\n"])
def test_continue_rejects_a_corrupted_file(export: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)

    assert export("log.jsonl", "--continue").exit_code == 1
    assert path.read_bytes() == content


def test_continue_rejects_a_file_of_another_log(
    export: Run, service: FakeEventServer, recorded_log: RecordedLog, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(recorded_log.lines[:10]))
    service.events[9] = service.events[9] | {"hash": "0" * 64}
    service.events[10] = service.events[10] | {"actor": "mallory"}

    result = export("log.jsonl", "--continue")

    assert result.exit_code == 1
    assert "event 11" in result.stderr
    assert path.read_bytes() == b"".join(recorded_log.lines[:10])


def test_export_of_a_broken_chain_leaves_no_file(
    export: Run, service: FakeEventServer, tmp_path: Path
) -> None:
    service.events[12] = service.events[12] | {"actor": "mallory"}

    result = export("log.jsonl")

    assert result.exit_code == 1
    assert "event 13: its content or its predecessor was changed" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_failed_export_keeps_the_previous_file(
    export: Run, service: FakeEventServer, tmp_path: Path
) -> None:
    (tmp_path / "log.jsonl").write_text("before")
    service.failure = (503, b"")

    assert export("log.jsonl").exit_code == 6
    assert (tmp_path / "log.jsonl").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_export_stops_when_the_service_makes_no_progress(
    export: Run, service: FakeEventServer
) -> None:
    service.failure = (200, b'{"events": [], "head": 9, "next": 0, "gap": null}')

    assert export("log.jsonl").exit_code == 1


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((401, b'{"title": "A valid API key is required"}'), 4, "A valid API key is required"),
        ((403, b"{}"), 4, "403"),
        ((404, b"not json"), 5, "404"),
        ((422, b'{"title": "Invalid request", "detail": "after"}'), 1, "Invalid request: after"),
        ((500, b""), 1, "500"),
        ((503, b'{"title": "Service unavailable"}'), 6, "Service unavailable"),
        ((200, b"<html>"), 1, "not from Quorate"),
        ((200, b"{}"), 1, "not from Quorate"),
    ],
)
def test_export_failure_is_one_sentence_with_its_exit_code(
    export: Run, service: FakeEventServer, answer: tuple[int, bytes], code: int, words: str
) -> None:
    service.failure = answer

    result = export("log.jsonl")

    assert result.exit_code == code
    assert words in result.stderr
    assert result.stderr.count("\n") == (2 if code == 6 else 1)  # 6: advice follows.


def test_export_from_an_unreachable_service_exits_with_unavailable(run: Run) -> None:
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    result = run("events", "export", "x", "--url", f"http://127.0.0.1:{port}", "--api-key", KEY)

    assert result.exit_code == 6
    assert "does not answer" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://", ""])
def test_invalid_url_is_reported(run: Run, url: str) -> None:
    result = run("events", "export", "x", "--url", url, "--api-key", KEY)

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")


def test_invalid_key_is_rejected_and_not_printed(run: Run, service: FakeEventServer) -> None:
    result = run("events", "export", "x", "--url", service.url, "--api-key", "sécret\n")

    assert result.exit_code == 4
    assert "cret" not in result.stderr


# -- Service and key ------------------------------------------------------------


def test_export_uses_url_and_key_of_the_environment(
    run: Run, service: FakeEventServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORATE_URL", service.url)
    monkeypatch.setenv("QUORATE_API_KEY", KEY)

    assert run("events", "export", "log.jsonl").exit_code == 0


def test_export_uses_the_credentials_of_a_local_service(
    run: Run, service: FakeEventServer, tmp_path: Path
) -> None:
    (tmp_path / "credentials.json").write_text(json.dumps({"url": service.url, "apiKey": KEY}))

    assert run("events", "export", "log.jsonl", "--data-dir", tmp_path).exit_code == 0


def test_missing_service_error_names_the_options(run: Run) -> None:
    result = run("events", "export", "log.jsonl")

    assert result.exit_code == 2
    assert "QUORATE_URL" in result.stderr


def test_invalid_credentials_file_is_reported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text("{")

    result = run("events", "export", "log.jsonl", "--data-dir", tmp_path)

    assert result.exit_code == 1
    assert "remove it" in result.stderr


# -- Usage errors ---------------------------------------------------------------


def test_continue_with_after_is_a_usage_error(export: Run) -> None:
    assert export("log.jsonl", "--continue", "--after", "3").exit_code == 2
    assert export("-", "--continue").exit_code == 2


def test_export_after_the_last_event_fails(export: Run, recorded_log: RecordedLog) -> None:
    result = export("log.jsonl", "--after", str(len(recorded_log.lines) + 1))

    assert result.exit_code == 1
    assert f"the log ends with event {len(recorded_log.lines)}" in result.stderr


def test_missing_directory_is_reported(export: Run) -> None:
    result = export("nowhere/log.jsonl")

    assert result.exit_code == 1
    assert "Cannot write" in result.stderr


def test_export_without_new_events_succeeds(
    export: Run, recorded_log: RecordedLog, tmp_path: Path
) -> None:
    (tmp_path / "log.jsonl").write_bytes(b"".join(recorded_log.lines))

    assert "0 events written" in export("log.jsonl", "--continue").stdout
    assert orjson.loads((tmp_path / "log.jsonl").read_bytes().splitlines()[-1])
