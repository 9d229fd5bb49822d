"""`quorate verify`: every modification of an exported file is detected and located."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from quorate.eventlog.archive.export_format import encode_line
from quorate.eventlog.hash_chain import link, verify_exported_event
from quorate.eventlog.recorded_event import StreamHead
from tests.e2e.cli.conftest import RecordedLog, Run

Lines = list[bytes]


def edit_line(raw: bytes, **changes: object) -> bytes:
    return encode_line(orjson.loads(raw) | changes)


def rewrite_log(lines: Lines, edit: Callable[[dict[str, Any]], None]) -> Lines:
    """Rewrite a log with correct hashes, as an attacker with knowledge of the format."""
    head = StreamHead(sequence=0, hash=bytes(32))
    found = []
    for raw in lines:
        event = orjson.loads(raw)
        edit(event)
        event["hash"] = "?"
        event["hash"] = compute_hash(event, head)
        head = verify_exported_event(event, head)
        found.append(encode_line(event))
    return found


def compute_hash(event: dict[str, Any], head: StreamHead) -> str:
    body = {name: value for name, value in event.items() if name != "hash"}
    return link(head.hash, body).hex()


# -- Valid files ----------------------------------------------------------------


def test_valid_file_is_reported_with_tenant_and_head_hash(
    run: Run, log: Path, recorded_log: RecordedLog
) -> None:
    result = run("verify", log)

    count = len(recorded_log.lines)
    assert result.exit_code == 0
    assert f"{count} events of tenant acme, 1 to {count}" in result.stdout
    assert f"Head hash to store: {recorded_log.head_hash(count)}" in result.stdout


def count_of_contents(events: list[dict[str, Any]]) -> int:
    return sum(len(event["data"].get("contents") or ()) for event in events)


def test_verify_prints_the_result_as_json(run: Run, log: Path, recorded_log: RecordedLog) -> None:
    result = run("verify", log, "--json")

    events, found = recorded_log.events, orjson.loads(result.stdout)
    last, contents = events[-1], found.pop("contents")
    assert contents["verified"] == 0  # An export without contents.
    assert contents["missing"] + contents["erased"] == count_of_contents(events) > 0
    assert found == {
        "ok": True,
        "tenantId": "acme",
        "events": len(recorded_log.lines),
        "first": 1,
        "head": {"sequence": last["sequence"], "hash": last["hash"]},
        "at": last["at"],
    }


def test_file_is_read_from_stdin(run: Run, recorded_log: RecordedLog) -> None:
    assert run("verify", "-", input=b"".join(recorded_log.lines)).exit_code == 0


@pytest.mark.parametrize("with_sequence", [True, False])
@pytest.mark.parametrize("sequence", [1, 20, -1])
def test_stored_head_hash_matches_a_longer_log(
    run: Run, log: Path, recorded_log: RecordedLog, sequence: int, with_sequence: bool
) -> None:
    head = recorded_log.head_hash(sequence % (len(recorded_log.lines) + 1))
    head = head if with_sequence else head.partition(":")[2].upper()

    assert run("verify", log, "--head", head).exit_code == 0


def test_file_without_the_first_event_needs_the_previous_hash(
    run: Run, log: Path, recorded_log: RecordedLog
) -> None:
    log.write_bytes(b"".join(recorded_log.lines[10:]))
    previous = recorded_log.events[9]["hash"]

    without = run("verify", log)
    result = run("verify", log, "--previous", previous, "--json")
    wrong = run("verify", log, "--previous", "0" * 64)

    assert without.exit_code == 1
    assert "starts at event 11" in without.stderr
    assert "--previous" in without.stderr
    assert orjson.loads(result.stdout)["first"] == 11
    assert orjson.loads(result.stdout)["tenantId"] is None
    assert wrong.exit_code == 1


# -- Modified files -------------------------------------------------------------

TAMPERED: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "an actor is exchanged": (
        lambda lines: [*lines[:4], edit_line(lines[4], actor="mallory"), *lines[5:]],
        "event 5 (line 5): its content or its predecessor was changed",
    ),
    "a version is another kind of number": (
        lambda lines: [
            *lines[:4],
            lines[4].replace(b'"version":1}', b'"version":1.0}'),
            *lines[5:],
        ],
        "event 5 (line 5): is not an event: 'version' is missing or has another type",
    ),
    "an integer in the data becomes 1.0": (
        lambda lines: (
            [lines[0], lines[1].replace(b'"incarnation":1', b'"incarnation":1.0'), *lines[2:]]
        ),
        "event 2 (line 2): its content or its predecessor was changed",
    ),
    "an integer is spelled otherwise": (
        lambda lines: (
            [lines[0], lines[1].replace(b'"incarnation":1', b'"incarnation":1e0'), *lines[2:]]
        ),
        "event 2 (line 2): is not canonical JSON",
    ),
    "a key occurs twice": (
        lambda lines: [*lines[:4], b'{"actor":"me",' + lines[4][1:], *lines[5:]],
        "event 5 (line 5): contains the key 'actor' twice",
    ),
    "a field is added": (
        lambda lines: [*lines[:4], edit_line(lines[4], note="x"), *lines[5:]],
        "event 5 (line 5): has missing or additional fields",
    ),
    "a space is added": (
        lambda lines: [*lines[:4], lines[4].replace(b'":', b'": ', 1), *lines[5:]],
        "event 5 (line 5): is not canonical JSON",
    ),
    "an event is deleted": (
        lambda lines: [*lines[:4], *lines[5:]],
        "event 5 (line 5): is missing: found 6 in its place",
    ),
    "the first event is deleted": (
        lambda lines: lines[1:],
        "starts at event 2, not at event 1",
    ),
    "an event is inserted": (
        lambda lines: [*lines[:4], lines[2], *lines[4:]],
        "event 5 (line 5): is missing: found 3 in its place",
    ),
    "two events are swapped": (
        lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]],
        "event 5 (line 5): is missing: found 6 in its place",
    ),
    "two bodies are swapped": (
        lambda lines: [
            *lines[:4],
            edit_line(lines[5], sequence=5),
            edit_line(lines[4], sequence=6),
            *lines[6:],
        ],
        "event 5 (line 5): its content or its predecessor was changed",
    ),
    "a line is garbage": (
        lambda lines: [*lines[:4], b"garbage\n", *lines[5:]],
        "event 5 (line 5): is not JSON",
    ),
    "a line is another JSON value": (
        lambda lines: [*lines[:4], b"[1]\n", *lines[5:]],
        "event 5 (line 5): is not an event",
    ),
    "a line is nested absurdly deep": (
        lambda lines: [*lines[:4], b"[" * 500 + b"]" * 500 + b"\n"],
        "event 5 (line 5): is not an event",
    ),
    "data is nested absurdly deep": (
        lambda lines: [
            *lines[:4],
            re.sub(rb'"data":\{', b'"data":{"a":' + b"[" * 500 + b"]" * 500 + b",", lines[4]),
        ],
        "event 5 (line 5): is not canonical JSON",
    ),
    "a line is empty": (
        lambda lines: [*lines[:4], b"\n", *lines[4:]],
        "event 5 (line 5): is not JSON",
    ),
    "the last line is cut": (
        lambda lines: [*lines[:-1], lines[-1][:-1]],
        "is truncated",
    ),
    "the lines end like those of Windows": (
        lambda lines: [one.replace(b"\n", b"\r\n") for one in lines],
        "line 1: is not canonical JSON",
    ),
    "it begins with a byte order mark": (
        lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]],
        "line 1: is not JSON",
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_corrupted_event_is_named(
    run: Run, log: Path, recorded_log: RecordedLog, case: str
) -> None:
    tamper, message = TAMPERED[case]
    log.write_bytes(b"".join(tamper(list(recorded_log.lines))))

    result = run("verify", log)

    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_corruption_is_reported_as_json(run: Run, log: Path, recorded_log: RecordedLog) -> None:
    log.write_bytes(b"".join([*recorded_log.lines[:4], *recorded_log.lines[5:]]))

    result = run("verify", log, "--json")

    assert result.exit_code == 1
    assert orjson.loads(result.stdout) == {
        "ok": False,
        "line": 5,
        "sequence": 5,
        "why": "is missing: found 6 in its place",
    }


def test_empty_file_is_rejected(run: Run, log: Path) -> None:
    log.write_bytes(b"")

    result = run("verify", log)

    assert result.exit_code == 1
    assert "contains no events" in result.stderr


# -- Stored head hash -----------------------------------------------------------


def test_head_hash_detects_a_truncated_file(run: Run, log: Path, recorded_log: RecordedLog) -> None:
    head = recorded_log.head_hash(len(recorded_log.lines))
    log.write_bytes(b"".join(recorded_log.lines[:-3]))

    assert run("verify", log).exit_code == 0
    result = run("verify", log, "--head", head)
    by_hash = run("verify", log, "--head", head.partition(":")[2])

    assert result.exit_code == by_hash.exit_code == 1
    assert (
        f"before event {len(recorded_log.lines)}, the checkpoint: it was truncated" in result.stderr
    )
    assert "no event has the hash of the checkpoint" in by_hash.stderr


def test_head_hash_detects_a_rewritten_log(run: Run, log: Path, recorded_log: RecordedLog) -> None:
    def edit(event: dict[str, Any]) -> None:
        if event["sequence"] == 3:
            event["actor"] = "mallory"

    log.write_bytes(b"".join(rewrite_log(recorded_log.lines, edit)))

    assert run("verify", log).exit_code == 0
    result = run("verify", log, "--head", recorded_log.head_hash(3))
    assert result.exit_code == 1
    assert "event 3 (line 3): differs from the hash of the checkpoint" in result.stderr
    assert run("verify", log, "--head", recorded_log.head_hash(2)).exit_code == 0


def test_head_hash_rejects_an_empty_file(run: Run, log: Path, recorded_log: RecordedLog) -> None:
    log.write_bytes(b"")

    assert "the file is empty" in run("verify", log, "--head", recorded_log.head_hash(1)).stderr


# -- Usage errors ---------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("--head", "abc"),
        ("--head", f"x:{'0' * 64}"),
        ("--head", f":{'0' * 64}"),
        ("--previous", "0" * 63),
        ("--previous", f"1:{'0' * 64}"),
    ],
)
def test_invalid_hash_is_a_usage_error(run: Run, log: Path, arguments: tuple[str, ...]) -> None:
    assert run("verify", log, *arguments).exit_code == 2


def test_missing_file_is_a_usage_error(run: Run) -> None:
    assert run("verify", "nowhere.jsonl").exit_code == 2
