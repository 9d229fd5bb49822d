"""Format and verification of exported logs: JSON lines with a hash chain.

* A line is the canonical JSON of one event and a line feed. Every changed byte is therefore
  detected, also one that a lenient JSON reader ignores (a duplicate key, a space, an escape).
* Each event's hash covers it and all earlier ones. A truncated or completely rewritten file is
  detected only with a checkpoint: the hash of an event that was stored elsewhere.
* An export may have contents: each is a line after the event that refers to it, and is verified by
  the hash in this event. Contents that were erased, or not exported, are missing: no error.
* This module needs only ``domain`` and orjson, so that an auditor needs no server packages.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from quorate.domain.shared.contents import Content
from quorate.domain.shared.records import record
from quorate.eventlog.archive.content_lines import CONTENT, ContentCheck, content_line
from quorate.eventlog.hash_chain import GENESIS, ChainBroken, verify_exported_event
from quorate.eventlog.recorded_event import StreamHead
from quorate.eventlog.serialization import canonical

LINE_BYTES_MAX = 16 * 1024 * 1024  # More than the largest content takes as base64.
EVENTS_BETWEEN_PROGRESS = 1_000
FIELD_TYPES: Mapping[str, type] = {
    "sequence": int,
    "id": str,
    "stream": str,
    "type": str,
    "version": int,
    "at": str,
    "actor": str,
    "commandId": str,
    "data": dict,
    "hash": str,
}
_NEWLINE = b"\n"
_CONTENT_BEGINS = b'{"%s":' % CONTENT.encode()


@dataclass(eq=False)
class FileCorrupted(Exception):
    """The first line at which the file differs from what was exported."""

    line: int
    sequence: int | None  # Of the expected event, if it is known.
    reason: str

    def __str__(self) -> str:
        if self.sequence is None:
            return f"line {self.line}: {self.reason}"
        return f"event {self.sequence} (line {self.line}): {self.reason}"


class MissingPrefix(Exception):
    """The file begins after event 1, and the hash that it follows was not given."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"the file begins at event {sequence}")
        self.sequence = sequence


@record
class Checkpoint:
    """An event's hash that an auditor stored earlier, with its sequence if that is known."""

    hash: str
    sequence: int | None = None


@record
class VerificationResult:
    """A verified file; ``tenant`` is known when the file contains event 1.

    ``contents`` are verified; ``erased`` are missing because of an event; ``missing`` were not
    exported.
    """

    events: int
    tenant: str | None
    first: int
    head: StreamHead
    at: str
    contents: int = 0
    erased: int = 0
    missing: int = 0


@record
class ChainedEvent:
    """One verified event of a file, and the head of the chain after it."""

    event: dict[str, Any]
    head: StreamHead


def encode_line(event: dict[str, Any]) -> bytes:
    """Return the line of an event in an export."""
    return canonical(event) + _NEWLINE


def encode_content(content: Content) -> bytes:
    """Return the line of a content, which follows its event."""
    return canonical({CONTENT: content_line(content)}) + _NEWLINE


def read_verified(
    file: BinaryIO, previous: bytes | None = None, contents: ContentCheck | None = None
) -> Iterator[ChainedEvent]:
    """Yield the events of a file, each verified against its predecessor; raises FileCorrupted.

    ``previous`` is the hash that the first event follows; it is not needed for event 1.
    ``contents`` counts the contents, which are verified in any case.
    """
    head: StreamHead | None = None
    contents = contents or ContentCheck()
    for number, raw in _lines(file):
        if raw.startswith(_CONTENT_BEGINS):
            _check_content(number, head, raw, contents)
            continue
        event = _event(number, head, raw)
        if head is None:
            head = _before(event, previous)
        try:
            head = verify_exported_event(event, head)
        except ChainBroken as broken:
            raise FileCorrupted(number, broken.sequence, broken.reason) from broken
        try:
            contents.begin(event["stream"], event["type"], event["data"])
        except ValueError as error:
            raise FileCorrupted(number, head.sequence, str(error)) from error
        yield ChainedEvent(event=event, head=head)


def read_unverified(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the events of a file without verification; raises FileCorrupted if it is malformed."""
    for number, raw in _lines(file):
        if not raw.startswith(_CONTENT_BEGINS):
            yield _parse(number, None, raw)


def verify(
    file: BinaryIO,
    *,
    previous: bytes | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> VerificationResult | None:
    """Verify the chain and the checkpoint of a file; None for a file without events."""
    first: dict[str, Any] | None = None
    last: ChainedEvent | None = None
    is_found = False
    count = 0
    contents = ContentCheck()
    for count, last in enumerate(read_verified(file, previous, contents), start=1):
        first = first or last.event
        is_found = is_found or _is_checkpoint(checkpoint, last.head, count)
        if count % EVENTS_BETWEEN_PROGRESS == 0:
            progress(count)
    if checkpoint is not None and not is_found:
        raise FileCorrupted(count + 1, None, _explain_missing(checkpoint, last))
    if first is None or last is None:
        return None
    return VerificationResult(
        events=count,
        tenant=tenant_of(first),
        first=first["sequence"],
        head=last.head,
        at=last.event["at"],
        contents=contents.verified,
        erased=contents.erased,
        missing=contents.missing,
    )


def tenant_of(first: dict[str, Any]) -> str | None:
    """Return the tenant that the log's first event creates; other events do not contain it."""
    return first["data"].get("tenantId") if first["type"] == "TenantCreated" else None


# -- Lines ---------------------------------------------------------------------


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while raw := file.readline(LINE_BYTES_MAX):
        number += 1
        if not raw.endswith(_NEWLINE):
            reason = "is longer than any event" if len(raw) == LINE_BYTES_MAX else "is truncated"
            raise FileCorrupted(number, None, reason)
        yield number, raw[:-1]


def _event(number: int, head: StreamHead | None, raw: bytes) -> dict[str, Any]:
    """Parse a line and require its canonical form; raises FileCorrupted."""
    expected = head.sequence + 1 if head else None
    event = _parse(number, expected, raw)
    if _canonical(event) != raw:
        raise FileCorrupted(number, expected, _explain_difference(raw))
    return event


def _check_content(
    number: int, head: StreamHead | None, raw: bytes, contents: ContentCheck
) -> None:
    """Verify a content by the event before it; raises FileCorrupted."""
    sequence = head.sequence if head else None
    try:
        line = orjson.loads(raw)
        contents.check(line[CONTENT])
    except ValueError as error:
        raise FileCorrupted(number, sequence, f"has another content: {error}") from error
    if set(line) != {CONTENT} or canonical(line) != raw:
        raise FileCorrupted(number, sequence, f"has a content that {_explain_difference(raw)}")


def _parse(number: int, expected: int | None, raw: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise FileCorrupted(number, expected, f"is not JSON: {error.msg}") from error
    if not isinstance(event, dict):
        raise FileCorrupted(number, expected, "is not an event")
    for name, kind in FIELD_TYPES.items():
        if type(event.get(name)) is not kind:
            raise FileCorrupted(
                number, expected, f"is not an event: {name!r} is missing or has another type"
            )
    return event


def _canonical(event: dict[str, Any]) -> bytes | None:
    try:
        return canonical(event)
    except TypeError:  # Nested more deeply than orjson can write.
        return None


def _explain_difference(raw: bytes) -> str:
    """Return why a line that is JSON is not canonical."""
    try:
        json.loads(raw, object_pairs_hook=_reject_duplicates)
    except ValueError as error:
        return str(error)
    return "is not canonical JSON (sorted keys, no spaces)"


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"contains the key {name!r} twice")
    return dict(pairs)


# -- The predecessor and the checkpoint ----------------------------------------


def _before(event: dict[str, Any], previous: bytes | None) -> StreamHead:
    sequence = event["sequence"]
    if sequence <= GENESIS.sequence + 1:
        return GENESIS  # Verification fails if it is not event 1.
    if previous is None:
        raise MissingPrefix(sequence)
    return StreamHead(sequence=sequence - 1, hash=previous)


def _is_checkpoint(checkpoint: Checkpoint | None, head: StreamHead, line_number: int) -> bool:
    """Return whether this is the checkpoint; raises FileCorrupted when its hash differs."""
    if checkpoint is None:
        return False
    same = checkpoint.hash == head.hash.hex()
    if checkpoint.sequence is None:
        return same
    if checkpoint.sequence == head.sequence and not same:
        reason = "differs from the hash of the checkpoint: the log was rewritten"
        raise FileCorrupted(line_number, head.sequence, reason)
    return checkpoint.sequence == head.sequence


def _explain_missing(checkpoint: Checkpoint, last: ChainedEvent | None) -> str:
    ends = f"the file ends with event {last.head.sequence}" if last else "the file is empty"
    if checkpoint.sequence is None:
        return f"{ends} and no event has the hash of the checkpoint: it was truncated or rewritten"
    if last is not None and last.head.sequence > checkpoint.sequence:
        return f"the file begins after event {checkpoint.sequence}, the checkpoint"
    return f"{ends}, before event {checkpoint.sequence}, the checkpoint: it was truncated"
