"""A file of a log's events, of all tenants, that proves that nothing of it is missing.

* Compressed JSON lines: a header, the events in the order of the log, the answers that were given
  under idempotency keys, and a footer with the SHA-256 of all the lines before it.
* The header tells which events there are, before any of them is read; the footer, that the writer
  came to its end. A file that was cut off, anywhere, is none.
* Each event is followed from the one before it in its tenant's chain, when the file is written and
  whenever it is read. Nothing in it depends on the kind of database that it came from.
"""

import gzip
import hashlib
import hmac
import zlib
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any, BinaryIO, TypeAlias

import orjson

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp, instant, iso
from quorate.eventlog.archive.export_format import FIELD_TYPES, LINE_BYTES_MAX, FileCorrupted
from quorate.eventlog.hash_chain import EVENT_FIELDS, GENESIS, ChainBroken, check, public_event
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.serialization import canonical

VERSION = 1
COMPRESSION_LEVEL = 6
_NEWLINE = b"\n"
_FIELDS = EVENT_FIELDS | {"position", "tenant"}
_TYPES: Mapping[str, type] = {**FIELD_TYPES, "position": int, "tenant": str}


@record
class Header:
    """Which events are in the file, and what they follow.

    ``previous`` is the seal of the file before it, where files follow one another.
    """

    format: str
    made_at: Timestamp
    after: int
    heads: Mapping[str, StreamHead]  # Of each tenant, at position ``after``.
    until: int
    hash: bytes  # Of the event at position ``until``.
    previous: str | None = None


@record
class AnswerRow:
    """A row of the table of answers."""

    tenant: str
    caller: str
    command: str
    key: str
    fingerprint: bytes
    code: str | None
    body: str
    sequence: int
    at: Timestamp


@record
class Seal:
    """The end of a file: how much was in it, and the hash of all of it."""

    events: int
    answers: int
    sha256: str


Item: TypeAlias = RecordedEvent | AnswerRow
_ANSWER = ("tenant", "caller", "command", "key", "fingerprint", "code", "body", "sequence", "at")
_CELLS = attrgetter(*_ANSWER)


class EventOutOfOrder(Exception):
    """An event that does not follow from those before it."""


class ChainVerifier:
    """Positions without a gap, and the chain of each tenant."""

    def __init__(self, position: int = 0, heads: Mapping[str, StreamHead] | None = None) -> None:
        self.position = position
        self.heads = dict(heads or {})
        self.hash = GENESIS.hash
        self.at = Timestamp(0)

    def follow(self, event: RecordedEvent) -> None:
        """Raises OutOfOrder."""
        if event.position != self.position + 1:
            raise EventOutOfOrder(
                f"position {self.position + 1} is missing: {event.position} follows"
            )
        try:
            head = check([event], self.heads.get(event.tenant, GENESIS))
        except ChainBroken as broken:
            raise EventOutOfOrder(
                f"position {event.position}: {event.tenant}, {broken}"
            ) from broken
        self.heads[event.tenant] = head
        self.position, self.hash, self.at = event.position, event.hash, event.at


# -- Writing -------------------------------------------------------------------


class SealedWriter:
    """Writes to ``sink`` as it is told; ``close`` seals the file, and nothing else does."""

    def __init__(self, sink: BinaryIO, header: Header) -> None:
        self.chains = ChainVerifier(header.after, header.heads)
        self._header = header
        self._gzip = gzip.GzipFile("", "wb", COMPRESSION_LEVEL, sink, mtime=0)
        self._hash = hashlib.sha256()
        self._events = self._answers = 0
        self._write(_header_line(header))

    def add(self, item: Item) -> None:
        """Raises OutOfOrder: what does not hold together is not written down as if it did."""
        if isinstance(item, RecordedEvent):
            self.chains.follow(item)
            place = {"position": item.position, "tenant": item.tenant}
            self._write(public_event(item) | place)
            self._events += 1
        else:
            self._write({"answer": _answer_line(item)})
            self._answers += 1

    def close(self) -> Seal:
        """Raises OutOfOrder when the events are not those of the header."""
        _check_end(self._header, self.chains)
        seal = Seal(events=self._events, answers=self._answers, sha256=self._hash.hexdigest())
        self._write({"end": _seal_line(seal)})
        self._gzip.close()
        return seal

    def _write(self, value: dict[str, Any]) -> None:
        line = canonical(value) + _NEWLINE
        self._hash.update(line)
        self._gzip.write(line)


def _check_end(header: Header, chains: ChainVerifier) -> None:
    if (chains.position, chains.hash) != (header.until, header.hash):
        raise EventOutOfOrder(
            f"the events end at position {chains.position}, not at {header.until}"
        )


def _header_line(header: Header) -> dict[str, Any]:
    heads = {tenant: [head.sequence, head.hash.hex()] for tenant, head in header.heads.items()}
    return {
        "format": header.format,
        "version": VERSION,
        "madeAt": iso(header.made_at),
        "after": {"position": header.after, "heads": heads},
        "until": {"position": header.until, "hash": header.hash.hex()},
        "previous": header.previous,
    }


def _answer_line(row: AnswerRow) -> dict[str, Any]:
    cells = dict(zip(_ANSWER, _CELLS(row), strict=True))
    return cells | {"fingerprint": row.fingerprint.hex(), "at": iso(row.at)}


def _seal_line(seal: Seal) -> dict[str, Any]:
    return {"events": seal.events, "answers": seal.answers, "sha256": seal.sha256}


# -- Reading -------------------------------------------------------------------


class SealedReader:
    """A file from its first line to its last. Raises Damaged, at the first line that is wrong.

    Whoever has not come to the end of ``items`` knows nothing of the file: only there is its seal.
    """

    def __init__(self, file: BinaryIO, format_: str) -> None:
        self._lines = _Lines(file)
        self.header = _header(self._lines, format_)
        self.chains = ChainVerifier(self.header.after, self.header.heads)
        self.seal: Seal | None = None

    def items(self) -> Iterator[Item]:
        events = answers = 0
        while self.seal is None:
            sha256 = self._lines.hash.hexdigest()
            line = self._lines.next()
            if "position" in line:
                yield self._event(line)
                events += 1
            elif "answer" in line:
                yield _answer(self._lines, line["answer"])
                answers += 1
            elif "end" in line:
                told = Seal(events=events, answers=answers, sha256=sha256)
                self._seal(line["end"], told)
            else:
                raise self._lines.damaged("is neither an event nor an answer")

    def _event(self, line: dict[str, Any]) -> RecordedEvent:
        event = _event(self._lines, line)
        if event.position > self.header.until:
            raise self._lines.damaged("comes after the last event that the header names")
        try:
            self.chains.follow(event)
        except EventOutOfOrder as wrong:
            raise self._lines.damaged(str(wrong)) from wrong
        return event

    def _seal(self, line: Any, told: Seal) -> None:  # noqa: ANN401 - JSON.
        try:
            _check_end(self.header, self.chains)
        except EventOutOfOrder as wrong:
            raise self._lines.damaged(str(wrong)) from wrong
        if not hmac.compare_digest(canonical(line), canonical(_seal_line(told))):
            raise self._lines.damaged("the lines before it are not those that were sealed")
        self._lines.end()
        self.seal = told


class _Lines:
    """Lines of JSON, counted and hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=file, mode="rb")
        self.hash = hashlib.sha256()
        self.number = 0

    def next(self) -> dict[str, Any]:
        self.number += 1
        line = self._read()
        if not line.endswith(_NEWLINE):
            long = len(line) >= LINE_BYTES_MAX
            raise self.damaged("is longer than any event" if long else "the file is cut off here")
        self.hash.update(line)
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise self.damaged(f"is not JSON: {error.msg}") from error
        if not isinstance(value, dict):
            raise self.damaged("is not an object")
        return value

    def end(self) -> None:
        self.number += 1
        if self._read():
            raise self.damaged("follows the end")

    def damaged(self, why: str) -> FileCorrupted:
        return FileCorrupted(self.number, None, why)

    def _read(self) -> bytes:
        try:
            return self._file.readline(LINE_BYTES_MAX)
        except EOFError as error:
            raise self.damaged("the file is cut off here") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            why = "the file is not a compressed one, or was changed"
            raise self.damaged(why) from error


def _header(lines: _Lines, format_: str) -> Header:
    line = lines.next()
    if line.get("format") != format_:
        raise lines.damaged(f"the file is no {format_}")
    if line.get("version") != VERSION:
        raise lines.damaged(f"the file's version is {line.get('version')}; only {VERSION} is known")
    try:
        after, until = line["after"], line["until"]
        heads = {
            str(tenant): StreamHead(sequence=int(sequence), hash=bytes.fromhex(hash_))
            for tenant, (sequence, hash_) in after["heads"].items()
        }
        return Header(
            format=format_,
            made_at=instant(line["madeAt"]),
            after=int(after["position"]),
            heads=heads,
            until=int(until["position"]),
            hash=bytes.fromhex(until["hash"]),
            previous=line["previous"],
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise lines.damaged("is not a header as it was written") from error


def _event(lines: _Lines, line: dict[str, Any]) -> RecordedEvent:
    if set(line) != _FIELDS or any(type(line[name]) is not kind for name, kind in _TYPES.items()):
        raise lines.damaged("has other fields than an event")
    try:
        return RecordedEvent(
            position=line["position"],
            tenant=line["tenant"],
            sequence=line["sequence"],
            id=line["id"],
            stream=line["stream"],
            type=line["type"],
            version=line["version"],
            at=instant(line["at"]),
            actor=line["actor"],
            command_id=line["commandId"],
            data=canonical(line["data"]),
            hash=bytes.fromhex(line["hash"]),
        )
    except (TypeError, ValueError) as error:
        raise lines.damaged(f"is not an event: {error}") from error


def _answer(lines: _Lines, line: Any) -> AnswerRow:  # noqa: ANN401 - JSON.
    try:
        fingerprint, at = bytes.fromhex(line["fingerprint"]), instant(line["at"])
        return AnswerRow(**(line | {"fingerprint": fingerprint, "at": at}))
    except (LookupError, TypeError, ValueError) as error:
        raise lines.damaged(f"is not an answer: {error}") from error
