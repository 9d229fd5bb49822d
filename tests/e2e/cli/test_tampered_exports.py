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
    encode_line,
    verify,
)
from quorate.eventlog.recorded_event import StreamHead
from tests.e2e.cli.conftest import RecordedLog

MUTATIONS = 10_000
LINES = 25  # Enough for a first, middle and last event.
Mutation = Callable[[random.Random, bytes], bytes]


def flip_bit(rnd: random.Random, file: bytes) -> bytes:
    at = rnd.randrange(len(file))
    return file[:at] + bytes([file[at] ^ 1 << rnd.randrange(8)]) + file[at + 1 :]


def replace_byte(rnd: random.Random, file: bytes) -> bytes:
    at = rnd.randrange(len(file))
    return file[:at] + rnd.randbytes(1) + file[at + 1 :]


def insert_byte(rnd: random.Random, file: bytes) -> bytes:
    at = rnd.randrange(len(file) + 1)
    return file[:at] + rnd.choice((rnd.randbytes(1), b" ", b"\n", b"0", b"-")) + file[at:]


def delete_bytes(rnd: random.Random, file: bytes) -> bytes:
    at = rnd.randrange(len(file))
    return file[:at] + file[at + rnd.randint(1, 40) :]


def truncate(rnd: random.Random, file: bytes) -> bytes:
    return file[: rnd.randrange(len(file))]


def delete_line(rnd: random.Random, file: bytes) -> bytes:
    lines = file.splitlines(keepends=True)
    del lines[rnd.randrange(len(lines))]
    return b"".join(lines)


def repeat_line(rnd: random.Random, file: bytes) -> bytes:
    lines = file.splitlines(keepends=True)
    lines.insert(rnd.randrange(len(lines) + 1), rnd.choice(lines))
    return b"".join(lines)


def swap_two_lines(rnd: random.Random, file: bytes) -> bytes:
    lines = file.splitlines(keepends=True)
    one, other = rnd.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def edit_field(rnd: random.Random, file: bytes) -> bytes:
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
    lines[at] = encode_line(event)
    return b"".join(lines)


def replace_hash(rnd: random.Random, file: bytes) -> bytes:
    lines = file.splitlines(keepends=True)
    one, other = rnd.sample(range(len(lines)), 2)
    event = orjson.loads(lines[one]) | {"hash": orjson.loads(lines[other])["hash"]}
    lines[one] = encode_line(event)
    return b"".join(lines)


MUTATIONS_OF: tuple[Mutation, ...] = (
    flip_bit,
    flip_bit,
    replace_byte,
    insert_byte,
    delete_bytes,
    truncate,
    delete_line,
    repeat_line,
    swap_two_lines,
    edit_field,
    replace_hash,
)


def detects(file: bytes, checkpoint: Checkpoint) -> bool:
    try:
        verify(io.BytesIO(file), checkpoint=checkpoint)
    except (MissingPrefix, FileCorrupted):
        return True
    return False


def find_undetected(recorded_log: RecordedLog, mutations: int) -> list[str]:
    """Return the mutations that a verifier with the head hash accepts."""
    original = b"".join(recorded_log.lines[:LINES])
    checkpoint = Checkpoint(sequence=LINES, hash=recorded_log.events[LINES - 1]["hash"])
    assert not detects(original, checkpoint)
    rnd = random.Random(1)
    passed, tried = [], 0
    while tried < mutations:
        mutate = rnd.choice(MUTATIONS_OF)
        modified = mutate(rnd, original)
        if modified != original:
            tried += 1
            if not detects(modified, checkpoint):
                passed.append(mutate.__name__)
    return passed


def test_verify_detects_ten_thousand_mutations(recorded_log: RecordedLog) -> None:
    assert find_undetected(recorded_log, MUTATIONS) == []


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

    assert {"edit_field", "flip_bit"} <= set(find_undetected(recorded_log, 500))
