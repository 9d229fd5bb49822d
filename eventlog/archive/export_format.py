"""An exported log: a file of JSON lines that proves itself.

* A line is the canonical JSON of one event and a line feed, nothing else: of two spellings of the
  same event only one is an export. So every changed byte is noticed, also one that a lenient
  reader of JSON would pass over (a duplicate key, a space, another escape).
* Each event's hash covers it and all before it. Whoever kept the hash of one event elsewhere can
  tell a file that was cut off or rewritten as a whole; without one, nobody can.

Only ``domain`` and orjson are needed here: an auditor installs no server.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from quorate.domain.shared.records import record
from quorate.eventlog.hash_chain import GENESIS, ChainBroken, verify_exported_event
from quorate.eventlog.recorded_event import StreamHead
from quorate.eventlog.serialization import canonical

LINE_BYTES_MAX = 4_194_304
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


@dataclass(eq=False)
class FileCorrupted(Exception):
    """The first line at which the file is not what was exported."""

    line: int
    sequence: int | None  # Of the event that should stand there, where that can be known.
    why: str

    def __str__(self) -> str:
        if self.sequence is None:
            return f"line {self.line}: {self.why}"
        return f"event {self.sequence} (line {self.line}): {self.why}"


class MissingPrefix(Exception):
    """The file begins after the first event, and nobody said which hash it follows."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"the file begins at event {sequence}")
        self.sequence = sequence


@record
class Checkpoint:
    """What an auditor kept of an earlier look: a hash, and where it belongs if that was kept."""

    hash: str
    sequence: int | None = None


@record
class VerificationResult:
    """A file whose chain holds. The tenant is known when the file has its first event."""

    events: int
    tenant: str | None
    first: int
    head: StreamHead
    at: str


@record
class ChainedEvent:
    """One event of a file, and the head of the log once it is appended."""

    event: dict[str, Any]
    head: StreamHead


def line(event: dict[str, Any]) -> bytes:
    """How an event stands in the file."""
    return canonical(event) + _NEWLINE


def read_verified(file: BinaryIO, previous: bytes | None = None) -> Iterator[ChainedEvent]:
    """The events of a file, each checked against its predecessor; raises Damaged.

    ``previous`` is the hash that the first of them follows; a file that begins with event 1 needs
    none.
    """
    head: StreamHead | None = None
    for number, raw in _lines(file):
        event = _event(number, head, raw)
        if head is None:
            head = _before(event, previous)
        try:
            head = verify_exported_event(event, head)
        except ChainBroken as broken:
            raise FileCorrupted(number, broken.sequence, broken.why) from broken
        yield ChainedEvent(event=event, head=head)


def read_unverified(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """The events of a file as they stand there, whoever wrote them; raises Damaged."""
    for number, raw in _lines(file):
        yield _parsed(number, None, raw)


def verify(
    file: BinaryIO,
    *,
    previous: bytes | None = None,
    kept: Checkpoint | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> VerificationResult | None:
    """Follow the chain to its end, past the hash that was kept; None for a file without events."""
    first: dict[str, Any] | None = None
    last: ChainedEvent | None = None
    met = False
    count = 0
    for count, last in enumerate(read_verified(file, previous), start=1):
        first = first or last.event
        met = met or _meets(kept, last.head, count)
        if count % EVENTS_BETWEEN_PROGRESS == 0:
            progress(count)
    if kept is not None and not met:
        raise FileCorrupted(count + 1, None, _missed(kept, last))
    if first is None or last is None:
        return None
    return VerificationResult(
        events=count,
        tenant=tenant_of(first),
        first=first["sequence"],
        head=last.head,
        at=last.event["at"],
    )


def tenant_of(first: dict[str, Any]) -> str | None:
    """The tenant that a log's first event creates: the events themselves do not name it."""
    return first["data"].get("tenantId") if first["type"] == "TenantCreated" else None


# -- Lines ---------------------------------------------------------------------


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while raw := file.readline(LINE_BYTES_MAX):
        number += 1
        if not raw.endswith(_NEWLINE):
            why = "is longer than any event" if len(raw) == LINE_BYTES_MAX else "is cut off"
            raise FileCorrupted(number, None, why)
        yield number, raw[:-1]


def _event(number: int, head: StreamHead | None, raw: bytes) -> dict[str, Any]:
    """Parsed, and spelled as it was exported."""
    expected = head.sequence + 1 if head else None
    event = _parsed(number, expected, raw)
    if _spelled(event) != raw:
        raise FileCorrupted(number, expected, _misspelled(raw))
    return event


def _parsed(number: int, expected: int | None, raw: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise FileCorrupted(number, expected, f"is not JSON: {error.msg}") from error
    if not isinstance(event, dict):
        raise FileCorrupted(number, expected, "is not an event")
    for name, kind in FIELD_TYPES.items():
        if type(event.get(name)) is not kind:
            raise FileCorrupted(
                number, expected, f"is not an event: {name!r} is missing or not as it was"
            )
    return event


def _spelled(event: dict[str, Any]) -> bytes | None:
    try:
        return canonical(event)
    except TypeError:  # Nested deeper than anything that orjson writes.
        return None


def _misspelled(raw: bytes) -> str:
    """Why a line that is JSON is not the line that was exported."""
    try:
        json.loads(raw, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        return str(error)
    return "is not spelled as it was exported (canonical JSON: keys sorted, no spaces)"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"holds the key {name!r} twice")
    return dict(pairs)


# -- What comes before, and what was kept --------------------------------------


def _before(event: dict[str, Any], previous: bytes | None) -> StreamHead:
    sequence = event["sequence"]
    if sequence <= GENESIS.sequence + 1:
        return GENESIS  # If it is not the first event, the chain says so.
    if previous is None:
        raise MissingPrefix(sequence)
    return StreamHead(sequence=sequence - 1, hash=previous)


def _meets(kept: Checkpoint | None, head: StreamHead, line_number: int) -> bool:
    """Whether this is the event that was kept; raises Damaged when it stands in its place."""
    if kept is None:
        return False
    same = kept.hash == head.hash.hex()
    if kept.sequence is None:
        return same
    if kept.sequence == head.sequence and not same:
        why = "has another hash than the one that was kept: the log was rewritten"
        raise FileCorrupted(line_number, head.sequence, why)
    return kept.sequence == head.sequence


def _missed(kept: Checkpoint, last: ChainedEvent | None) -> str:
    ends = f"the file ends with event {last.head.sequence}" if last else "the file is empty"
    if kept.sequence is None:
        return f"{ends} and no event has the hash that was kept: it was cut off or rewritten"
    if last is not None and last.head.sequence > kept.sequence:
        return f"the file begins after event {kept.sequence}, whose hash was kept"
    return f"{ends}, before event {kept.sequence}, whose hash was kept: it was cut off"
