"""Ten thousand modifications of an exported file, all of which verify detects."""

import io
import random
from collections.abc import Callable

import orjson
import pytest

from quorate.eventlog.archive import export_format
from quorate.eventlog.archive.export_format import (
    Checkpoint,
    FileCorrupted,
    MissingPrefix,
    line,
    verify,
)
from quorate.eventlog.recorded_event import StreamHead
from tests.e2e.cli.conftest import RecordedLog

MUTATIONS = 10_000
LINES = 25  # Enough for every place to be a first, a middle and a last one.
Mutation = Callable[[random.Random, bytes], bytes]


def flip_a_bit(rnd: random.Random, file: bytes) -> bytes:
    at = rnd.randrange(len(file))
    return file[:at] + bytes([file[at] ^ 1 << rnd.randrange(8)]) + file[at + 1 :]


def exchange_a_byte(rnd: random.Random, file: bytes) -> bytes:
    at = rnd.randrange(len(file))
    return file[:at] + rnd.randbytes(1) + file[at + 1 :]


def insert_a_byte(rnd: random.Random, file: bytes) -> bytes:
    at = rnd.randrange(len(file) + 1)
    return file[:at] + rnd.choice((rnd.randbytes(1), b" ", b"\n", b"0", b"-")) + file[at:]


def delete_some_bytes(rnd: random.Random, file: bytes) -> bytes:
    at = rnd.randrange(len(file))
    return file[:at] + file[at + rnd.randint(1, 40) :]


def cut_the_end(rnd: random.Random, file: bytes) -> bytes:
    return file[: rnd.randrange(len(file))]


def delete_a_line(rnd: random.Random, file: bytes) -> bytes:
    lines = file.splitlines(keepends=True)
    del lines[rnd.randrange(len(lines))]
    return b"".join(lines)


def repeat_a_line(rnd: random.Random, file: bytes) -> bytes:
    lines = file.splitlines(keepends=True)
    lines.insert(rnd.randrange(len(lines) + 1), rnd.choice(lines))
    return b"".join(lines)


def swap_two_lines(rnd: random.Random, file: bytes) -> bytes:
    lines = file.splitlines(keepends=True)
    one, other = rnd.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def edit_a_field(rnd: random.Random, file: bytes) -> bytes:
    """Return a well-formed but wrong value."""
    lines = file.splitlines(keepends=True)
    at = rnd.randrange(len(lines))
    event = orjson.loads(lines[at])
    name = rnd.choice([name for name in event if name not in {"sequence", "hash"}])
    value = event[name]
    if isinstance(value, dict):
        event[name] = value | {rnd.choice(list(value)): "other"}
    else:
        event[name] = value + 1 if isinstance(value, int) else value + "x"
    lines[at] = line(event)
    return b"".join(lines)


def graft_a_hash(rnd: random.Random, file: bytes) -> bytes:
    lines = file.splitlines(keepends=True)
    one, other = rnd.sample(range(len(lines)), 2)
    event = orjson.loads(lines[one]) | {"hash": orjson.loads(lines[other])["hash"]}
    lines[one] = line(event)
    return b"".join(lines)


MUTATIONS_OF: tuple[Mutation, ...] = (
    flip_a_bit,
    flip_a_bit,
    exchange_a_byte,
    insert_a_byte,
    delete_some_bytes,
    cut_the_end,
    delete_a_line,
    repeat_a_line,
    swap_two_lines,
    edit_a_field,
    graft_a_hash,
)


def noticed(file: bytes, kept: Checkpoint) -> bool:
    try:
        verify(io.BytesIO(file), kept=kept)
    except (MissingPrefix, FileCorrupted):
        return True
    return False


def unnoticed(recorded_log: RecordedLog, mutations: int) -> list[str]:
    """Return the mutations that a verifier with the head hash accepts."""
    original = b"".join(recorded_log.lines[:LINES])
    kept = Checkpoint(sequence=LINES, hash=recorded_log.events[LINES - 1]["hash"])
    assert not noticed(original, kept)
    rnd = random.Random(1)
    passed, tried = [], 0
    while tried < mutations:
        mutate = rnd.choice(MUTATIONS_OF)
        spoiled = mutate(rnd, original)
        if spoiled != original:
            tried += 1
            if not noticed(spoiled, kept):
                passed.append(mutate.__name__)
    return passed


def test_verify_detects_ten_thousand_mutations(recorded_log: RecordedLog) -> None:
    assert unnoticed(recorded_log, MUTATIONS) == []


def test_verifier_without_hash_comparison_misses_mutations(
    recorded_log: RecordedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def credulous(event: dict[str, object], after: StreamHead) -> StreamHead:
        if event["sequence"] != after.sequence + 1:
            raise FileCorrupted(0, None, "is missing")
        try:
            claimed = bytes.fromhex(str(event["hash"]))
        except ValueError:
            raise FileCorrupted(0, None, "is no hash") from None
        return StreamHead(sequence=after.sequence + 1, hash=claimed)

    monkeypatch.setattr(export_format, "verify_exported_event", credulous)

    assert {"edit_a_field", "flip_a_bit"} <= set(unnoticed(recorded_log, 500))
