"""Sealed file format of archives and backups: events of all tenants, with proof of completeness.

* The file is gzip-compressed JSON lines: a header, the events in log order, stored idempotent
  responses, contents, and a footer with the SHA-256 of all lines before it.
* A file is one gzip member, with nothing behind its end.
* The header contains the range of events; the footer proves that the writer finished. A truncated
  file is rejected.
* The hash chain of each tenant is verified when the file is written and whenever it is read.
* The format does not depend on the kind of database.
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
from quorate.eventlog.archive.content_lines import CONTENT, ContentRow, parse_row, row_line
from quorate.eventlog.archive.export_format import FIELD_TYPES, LINE_BYTES_MAX, FileCorrupted
from quorate.eventlog.archive.gzip_member import BytesBehindEnd, open_member
from quorate.eventlog.hash_chain import (
    EVENT_FIELDS,
    GENESIS,
    ChainBroken,
    public_event,
    verify_chain,
)
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.serialization import canonical

VERSION = 1
COMPRESSION_LEVEL = 6
_NEWLINE = b"\n"
_FIELDS = EVENT_FIELDS | {"position", "tenant"}
_TYPES: Mapping[str, type] = {**FIELD_TYPES, "position": int, "tenant": str}


@record
class Header:
    """The range of events in the file, and the heads that they follow.

    ``previous`` is the hash of the previous file of an archive.
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
    """A row of the table ``answers``: a stored idempotent response."""

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
    """The footer of a file: the number of its items, and the hash of its lines."""

    events: int
    answers: int
    sha256: str
    contents: int = 0


Item: TypeAlias = RecordedEvent | AnswerRow | ContentRow
_ANSWER = ("tenant", "caller", "command", "key", "fingerprint", "code", "body", "sequence", "at")
_CELLS = attrgetter(*_ANSWER)
_ANSWER_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(_ANSWER, str),
    "code": (str, type(None)),
    "sequence": int,
}
_ANSWER_LENGTHS_MAX = {"tenant": 64, "caller": 64, "command": 64, "key": 256}
_INTEGER_MAX = 2**63 - 1  # Of both databases.
_VERSION_MAX = 2**31 - 1
_FINGERPRINT_DIGITS = {64, 66}  # Without a version, and with one.


class EventOutOfOrder(Exception):
    """An event does not follow its predecessors."""


class ChainVerifier:
    """Verifies that positions have no gap and that each tenant's chain is valid."""

    def __init__(self, position: int = 0, heads: Mapping[str, StreamHead] | None = None) -> None:
        self.position = position
        self.heads = dict(heads or {})
        self.hash = GENESIS.hash
        self.at = Timestamp(0)

    def follow(self, event: RecordedEvent) -> None:
        """Verify the next event; raises EventOutOfOrder."""
        if event.position != self.position + 1:
            raise EventOutOfOrder(
                f"position {self.position + 1} is missing: {event.position} follows"
            )
        try:
            head = verify_chain([event], self.heads.get(event.tenant, GENESIS))
        except ChainBroken as broken:
            raise EventOutOfOrder(
                f"position {event.position}: {event.tenant}, {broken}"
            ) from broken
        self.heads[event.tenant] = head
        self.position, self.hash, self.at = event.position, event.hash, event.at


# -- Writing -------------------------------------------------------------------


class SealedWriter:
    """Writes a sealed file to ``sink``; only ``close`` writes the footer."""

    def __init__(self, sink: BinaryIO, header: Header) -> None:
        self.chains = ChainVerifier(header.after, header.heads)
        self._header = header
        self._gzip = gzip.GzipFile("", "wb", COMPRESSION_LEVEL, sink, mtime=0)
        self._hash = hashlib.sha256()
        self._events = self._answers = self._contents = 0
        self._write(_header_line(header))

    def add(self, item: Item) -> None:
        """Verify and write an item; raises EventOutOfOrder."""
        if isinstance(item, RecordedEvent):
            self.chains.follow(item)
            location = {"position": item.position, "tenant": item.tenant}
            self._write(public_event(item) | location)
            self._events += 1
        elif isinstance(item, AnswerRow):
            self._write({"answer": _answer_line(item)})
            self._answers += 1
        else:
            self._write(row_line(item))
            self._contents += 1

    def close(self) -> Seal:
        """Write the footer; raises EventOutOfOrder when the events are not those of the header."""
        _check_end(self._header, self.chains)
        seal = Seal(
            events=self._events,
            answers=self._answers,
            contents=self._contents,
            sha256=self._hash.hexdigest(),
        )
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
    line = {"events": seal.events, "answers": seal.answers, "sha256": seal.sha256}
    # Without contents a file is the same as one of an older version, which has none.
    return line | {"contents": seal.contents} if seal.contents else line


# -- Reading -------------------------------------------------------------------


class SealedReader:
    """Reads and verifies a sealed file; raises FileCorrupted at the first wrong line.

    The file is verified only when ``items`` was read to its end: the seal is there.
    """

    def __init__(self, file: BinaryIO, format_: str) -> None:
        self._lines = _Lines(file)
        self.header = _header(self._lines, format_)
        self.chains = ChainVerifier(self.header.after, self.header.heads)
        self.seal: Seal | None = None

    def items(self) -> Iterator[Item]:
        events = answers = contents = 0
        while self.seal is None:
            sha256 = self._lines.hash.hexdigest()
            line = self._lines.next()
            if "position" in line:
                yield self._event(line)
                events += 1
            elif "answer" in line:
                yield _answer(self._lines, line["answer"])
                answers += 1
            elif CONTENT in line:
                yield self._content(line)
                contents += 1
            elif "end" in line:
                expected = Seal(events=events, answers=answers, contents=contents, sha256=sha256)
                self._verify_seal(line["end"], expected)
            else:
                raise self._lines.error("is neither an event, a stored response nor a content")

    def _event(self, line: dict[str, Any]) -> RecordedEvent:
        event = _event(self._lines, line)
        if event.position > self.header.until:
            raise self._lines.error("comes after the last event that the header names")
        try:
            self.chains.follow(event)
        except EventOutOfOrder as error:
            raise self._lines.error(str(error)) from error
        return event

    def _content(self, line: dict[str, Any]) -> ContentRow:
        try:
            return parse_row(line)
        except ValueError as error:
            raise self._lines.error(f"is not a content: {error}") from error

    def _verify_seal(self, line: Any, expected: Seal) -> None:  # noqa: ANN401 - JSON.
        try:
            _check_end(self.header, self.chains)
        except EventOutOfOrder as error:
            raise self._lines.error(str(error)) from error
        if not hmac.compare_digest(canonical(line), canonical(_seal_line(expected))):
            raise self._lines.error("the lines before it differ from those that were sealed")
        self._lines.end()
        self.seal = expected


class _Lines:
    """Lines of JSON, counted and hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = open_member(file)
        self.hash = hashlib.sha256()
        self.number = 0

    def next(self) -> dict[str, Any]:
        self.number += 1
        line = self._read()
        if not line.endswith(_NEWLINE):
            long = len(line) >= LINE_BYTES_MAX
            raise self.error("is longer than any event" if long else "the file is truncated here")
        self.hash.update(line)
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise self.error(f"is not JSON: {error.msg}") from error
        if not isinstance(value, dict):
            raise self.error("is not an object")
        return value

    def end(self) -> None:
        self.number += 1
        if self._read():
            raise self.error("follows the end")

    def error(self, reason: str) -> FileCorrupted:
        """Return an exception for the current line."""
        return FileCorrupted(self.number, None, reason)

    def _read(self) -> bytes:
        try:
            return self._file.readline(LINE_BYTES_MAX)
        except EOFError as error:
            raise self.error("the file is truncated here") from error
        except BytesBehindEnd as error:
            raise self.error("the file continues after its end") from error
        except zlib.error as error:
            reason = "the file is not compressed with gzip, or was changed"
            raise self.error(reason) from error


def _header(lines: _Lines, format_: str) -> Header:
    line = lines.next()
    if line.get("format") != format_:
        raise lines.error(f"the file is not a {format_}")
    if line.get("version") != VERSION:
        raise lines.error(
            f"the file has version {line.get('version')}; only {VERSION} is supported"
        )
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
        raise lines.error("is not a valid header") from error


def _event(lines: _Lines, line: dict[str, Any]) -> RecordedEvent:
    if set(line) != _FIELDS or any(type(line[name]) is not kind for name, kind in _TYPES.items()):
        raise lines.error("has missing or additional fields")
    if not 0 < line["version"] <= _VERSION_MAX:
        raise lines.error("is not an event: its version is out of range")
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
        raise lines.error(f"is not an event: {error}") from error


def _answer(lines: _Lines, line: Any) -> AnswerRow:  # noqa: ANN401 - JSON.
    try:
        _verify_answer(line)
        fingerprint, at = bytes.fromhex(line["fingerprint"]), instant(line["at"])
        return AnswerRow(**(line | {"fingerprint": fingerprint, "at": at}))
    except (LookupError, TypeError, ValueError) as error:
        raise lines.error(f"is not a stored response: {error}") from error


def _verify_answer(line: Any) -> None:  # noqa: ANN401 - JSON.
    """Raise an error unless the service can store the row and return it as a response."""
    if not isinstance(line, dict) or set(line) != set(_ANSWER):
        raise ValueError("it has missing or additional fields")
    for name, kind in _ANSWER_TYPES.items():
        if not isinstance(line[name], kind) or isinstance(line[name], bool):
            raise TypeError(f"{name} has another type")
        if isinstance(line[name], str) and "\0" in line[name]:
            raise ValueError(f"{name} contains NUL")
    if len(line["fingerprint"]) not in _FINGERPRINT_DIGITS:
        raise ValueError("its fingerprint has another length")
    if not 0 <= line["sequence"] <= _INTEGER_MAX:
        raise ValueError("its sequence is out of range")
    for name, length in _ANSWER_LENGTHS_MAX.items():
        if not 0 < len(line[name]) <= length:
            raise ValueError(f"{name} is empty or too long")
    body = orjson.loads(line["body"]) if line["body"] else None
    if line["code"] is not None and not isinstance(body, dict):
        raise TypeError("its body does not describe a rejection")
