"""A tenant's log becomes a file that is whole, or no file at all."""

import json
from pathlib import Path
from socket import create_server

import orjson
import pytest
from click.testing import Result

from tests.e2e.cli.conftest import Lived, Run
from tests.e2e.cli.fake_event_server import KEY, StandIn


@pytest.fixture
def export(run: Run, service: StandIn) -> Run:
    def run_export(*arguments: str | Path) -> Result:
        return run("events", "export", *arguments, "--url", service.url, "--api-key", KEY)

    return run_export


def test_the_file_holds_the_log_and_verifies_as_it_is_printed(
    export: Run, run: Run, lived: Lived, tmp_path: Path
) -> None:
    result = export("log.jsonl")

    count = len(lived.lines)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "log.jsonl").read_bytes() == b"".join(lived.lines)
    assert f"{count} events written to log.jsonl" in result.stdout
    printed = result.stdout.splitlines()[-1].split()
    assert printed == ["quorate", "verify", "log.jsonl", "--head", lived.kept(count)]
    assert run(*printed[1:]).exit_code == 0


def test_programs_get_the_head_to_keep_as_json(export: Run, lived: Lived) -> None:
    count = len(lived.lines)

    found = orjson.loads(export("log.jsonl", "--after", "10", "--json").stdout)

    assert found == {
        "file": "log.jsonl",
        "events": count - 10,
        "previous": {"sequence": 10, "hash": lived.events[9]["hash"]},
        "head": {"sequence": count, "hash": lived.events[-1]["hash"]},
    }


def test_the_log_is_read_page_by_page(export: Run, service: StandIn, lived: Lived) -> None:
    export("log.jsonl")

    assert service.asked == list(range(0, len(lived.lines), service.page_length))


def test_a_file_may_begin_later_and_says_what_it_follows(
    export: Run, run: Run, lived: Lived, tmp_path: Path
) -> None:
    result = export("log.jsonl", "--after", "10")

    assert (tmp_path / "log.jsonl").read_bytes() == b"".join(lived.lines[10:])
    printed = result.stdout.splitlines()[-1].split()
    assert printed[-2:] == ["--previous", lived.events[9]["hash"]]
    assert run(*printed[1:]).exit_code == 0


def test_stdout_gets_the_events_and_nothing_else(export: Run, lived: Lived) -> None:
    result = export("-")

    assert result.stdout_bytes == b"".join(lived.lines)
    assert "quorate verify" in result.stderr


def test_an_earlier_file_is_continued_from_where_it_ends(
    export: Run, service: StandIn, lived: Lived, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lived.lines[:10]))

    result = export("log.jsonl", "--continue")

    assert service.asked[0] == 10
    assert path.read_bytes() == b"".join(lived.lines)
    assert f"{len(lived.lines) - 10} events written" in result.stdout
    assert "--previous" not in result.stdout


@pytest.mark.parametrize("spoiled", [b"", b"garbage\n"])
def test_a_spoiled_file_is_not_continued(export: Run, tmp_path: Path, spoiled: bytes) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(spoiled)

    assert export("log.jsonl", "--continue").exit_code == 1
    assert path.read_bytes() == spoiled


def test_a_file_of_another_log_is_not_continued(
    export: Run, service: StandIn, lived: Lived, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lived.lines[:10]))
    service.events[9] = service.events[9] | {"hash": "0" * 64}
    service.events[10] = service.events[10] | {"actor": "somebody"}

    result = export("log.jsonl", "--continue")

    assert result.exit_code == 1
    assert "event 11" in result.stderr
    assert path.read_bytes() == b"".join(lived.lines[:10])


def test_a_chain_that_is_broken_at_the_service_leaves_no_file(
    export: Run, service: StandIn, tmp_path: Path
) -> None:
    service.events[12] = service.events[12] | {"actor": "somebody"}

    result = export("log.jsonl")

    assert result.exit_code == 1
    assert "event 13: its content or its predecessor was changed" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_file_before_stays_when_an_export_fails(
    export: Run, service: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "log.jsonl").write_text("before")
    service.fails_with = (503, b"")

    assert export("log.jsonl").exit_code == 6
    assert (tmp_path / "log.jsonl").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_service_that_makes_no_headway_is_not_asked_forever(
    export: Run, service: StandIn
) -> None:
    service.fails_with = (200, b'{"events": [], "head": 9, "next": 0}')

    assert export("log.jsonl").exit_code == 1


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((401, b'{"title": "A valid API key is needed"}'), 4, "A valid API key is needed"),
        ((403, b"{}"), 4, "403"),
        ((404, b"not json"), 5, "404"),
        ((422, b'{"title": "A field does not fit", "detail": "after"}'), 1, "not fit: after"),
        ((500, b""), 1, "500"),
        ((503, b'{"title": "Commands cannot be taken now"}'), 6, "cannot be taken now"),
        ((200, b"<html>"), 1, "it is not Quorate"),
        ((200, b"{}"), 1, "not Quorate"),
    ],
)
def test_a_failure_is_one_sentence_with_its_own_exit_code(
    export: Run, service: StandIn, answer: tuple[int, bytes], code: int, words: str
) -> None:
    service.fails_with = answer

    result = export("log.jsonl")

    assert result.exit_code == code
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_service_that_is_not_there_is_unavailable(run: Run) -> None:
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    result = run("events", "export", "x", "--url", f"http://127.0.0.1:{port}", "--api-key", KEY)

    assert result.exit_code == 6
    assert "does not answer" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://", ""])
def test_an_address_that_is_none_is_told(run: Run, url: str) -> None:
    result = run("events", "export", "x", "--url", url, "--api-key", KEY)

    assert result.exit_code in {1, 4}
    assert result.stderr.startswith("Error: ")


def test_a_key_that_cannot_be_one_is_refused_and_not_shown(run: Run, service: StandIn) -> None:
    result = run("events", "export", "x", "--url", service.url, "--api-key", "sécret\n")

    assert result.exit_code == 4
    assert "cret" not in result.stderr


# -- Where to call, and as whom -------------------------------------------------


def test_the_environment_says_where_and_who(
    run: Run, service: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORATE_URL", service.url)
    monkeypatch.setenv("QUORATE_API_KEY", KEY)

    assert run("events", "export", "log.jsonl").exit_code == 0


def test_a_local_service_left_its_credentials(run: Run, service: StandIn, tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text(json.dumps({"url": service.url, "apiKey": KEY}))

    assert run("events", "export", "log.jsonl", "--data-dir", tmp_path).exit_code == 0


def test_without_any_of_them_the_caller_is_told_what_to_give(run: Run) -> None:
    result = run("events", "export", "log.jsonl")

    assert result.exit_code == 4
    assert "QUORATE_URL" in result.stderr


def test_credentials_that_cannot_be_read_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text("{")

    result = run("events", "export", "log.jsonl", "--data-dir", tmp_path)

    assert result.exit_code == 1
    assert "remove it" in result.stderr


# -- Wrong use ------------------------------------------------------------------


def test_what_is_continued_cannot_begin_elsewhere(export: Run) -> None:
    assert export("log.jsonl", "--continue", "--after", "3").exit_code == 2
    assert export("-", "--continue").exit_code == 2


def test_an_event_beyond_the_end_cannot_be_followed(export: Run, lived: Lived) -> None:
    result = export("log.jsonl", "--after", str(len(lived.lines) + 1))

    assert result.exit_code == 1
    assert f"the log ends with event {len(lived.lines)}" in result.stderr


def test_a_folder_that_does_not_exist_is_told(export: Run) -> None:
    result = export("nowhere/log.jsonl")

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_nothing_new_is_an_export_too(export: Run, lived: Lived, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(b"".join(lived.lines))

    assert "0 events written" in export("log.jsonl", "--continue").stdout
    assert orjson.loads((tmp_path / "log.jsonl").read_bytes().splitlines()[-1])
