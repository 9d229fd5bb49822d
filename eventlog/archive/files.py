"""Archive files: a sequence of sealed files, each with the hash of its predecessor.

* An archive directory contains all events of all tenants from the first to the last archived one.
  A missing file is detected and named.
* This module needs only orjson, so that an auditor needs no server packages.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from quorate.domain.shared.records import record
from quorate.eventlog.archive.export_format import FileCorrupted, encode_line
from quorate.eventlog.archive.sealed_file import Header, Seal, SealedReader
from quorate.eventlog.hash_chain import ChainBroken, public_event, verify_exported_event
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.runtime.regular_file import open_regular

FORMAT = "quorate-archive"
POSITION_WIDTH = 12
FILE_PATTERN = "events-*.jsonl.gz"


class ArchiveCorrupted(Exception):
    """An archive file is missing or corrupted; the message names it."""


class ArchiveNeeded(Exception):
    """Archived events are needed, but the archive directory was not given."""

    def __init__(self, until: int) -> None:
        super().__init__(
            f"Events up to position {until} are archived: name the directory with --archive"
        )


@record
class ArchiveEnd:
    """The last archived position, and the hash of the file that contains it."""

    position: int
    sha256: str | None


NOTHING_ARCHIVED = ArchiveEnd(position=0, sha256=None)


@record
class CompleteFile:
    """A file that was read and verified to its end, and the tenants' heads after it."""

    header: Header
    seal: Seal
    heads: Mapping[str, StreamHead]


def file_name(first: int) -> str:
    """Return the name of the file that begins at ``first``; names sort in log order."""
    return f"events-{first:0{POSITION_WIDTH}d}.jsonl.gz"


class ArchiveFile:
    """One file; ``complete`` is set when all its events were read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete: CompleteFile | None = None

    def events(
        self, before: CompleteFile | None = None, *, standalone: bool = False
    ) -> Iterator[RecordedEvent]:
        """Yield the events in order; raises ArchiveCorrupted.

        The file must follow the file ``before``, unless it is read ``standalone``.
        """
        try:
            with open_regular(self.path) as file:
                reader = SealedReader(file, FORMAT)
                if not standalone:
                    self._must_follow(reader.header, before)
                yield from self._items(reader)
        except FileCorrupted as damage:
            raise ArchiveCorrupted(f"{self.path} is corrupted at {damage}") from damage
        except OSError as error:
            raise ArchiveCorrupted(f"{self.path} cannot be read: {error.strerror}") from error

    def _items(self, reader: SealedReader) -> Iterator[RecordedEvent]:
        for item in reader.items():
            if not isinstance(item, RecordedEvent):
                raise ArchiveCorrupted(f"{self.path} contains an item that is not an event")
            yield item
        assert reader.seal is not None
        self.complete = CompleteFile(
            header=reader.header, seal=reader.seal, heads=reader.chains.heads
        )

    def _must_follow(self, header: Header, before: CompleteFile | None) -> None:
        position = before.header.until if before else 0
        if header.after != position:
            missing = self.path.with_name(file_name(position + 1))
            raise ArchiveCorrupted(f"{missing} is missing: {self.path.name} follows it")
        seal, heads = (before.seal.sha256, before.heads) if before else (None, {})
        if header.previous != seal or header.heads != heads:
            raise ArchiveCorrupted(f"{self.path} does not follow the file before it")


class ArchiveFolder:
    """The files of one log."""

    def __init__(self, path: Path, *, oldest_removed: bool = False) -> None:
        """With ``oldest_removed`` the archive may begin with any file."""
        self.path = path
        self.first_position: int | None = None  # The first position that was read.
        self.last_read: CompleteFile | None = None  # The last file that was read.
        self._oldest_removed = oldest_removed

    @property
    def position(self) -> int:
        """The last position that was read."""
        return self.last_read.header.until if self.last_read else 0

    def events(self, until: ArchiveEnd | None = None) -> Iterator[RecordedEvent]:
        """Yield all archived events in order; raises ArchiveCorrupted.

        With ``until`` the files must contain all events up to it; else the last file is the end.
        """
        self.last_read = None
        for path in sorted(self.path.glob(FILE_PATTERN)):
            if until is not None and self.position >= until.position:
                break
            file = ArchiveFile(path)
            standalone = self._oldest_removed and self.last_read is None
            yield from file.events(self.last_read, standalone=standalone)
            self.last_read = file.complete
            self.first_position = self.first_position or self._after() + 1
        if self.last_read is None and until is None:
            raise ArchiveCorrupted(f"{self.path} contains no archive files")
        if until is not None:
            self._must_end(until)

    def _after(self) -> int:
        return self.last_read.header.after if self.last_read else 0

    def _must_end(self, until: ArchiveEnd) -> None:
        if self.position < until.position:
            missing = self.path / file_name(self.position + 1)
            raise ArchiveCorrupted(
                f"{missing} is missing: events up to position {until.position} are archived"
            )
        if self.last_read is not None and self.last_read.seal.sha256 != until.sha256:
            raise ArchiveCorrupted(f"{self.path} is the archive of another log")


class ArchivedEvents:
    """The archived part of a log, read once, in order."""

    def __init__(self, folder: Path | None, until: ArchiveEnd) -> None:
        if until.position and folder is None:
            raise ArchiveNeeded(until.position)
        self.until = until.position
        self._events = ArchiveFolder(folder).events(until) if folder and until.position else None

    def page(self, limit: int) -> list[RecordedEvent]:
        """Return the next events; empty when all were read and the end was verified."""
        return list(islice(self._events, limit)) if self._events is not None else []


# -- For one tenant ---------------------------------------------------------------


class ExtendedExport:
    """An exported file, preceded by the archived events of its tenant.

    It is read line by line, like one export. The hash chain identifies the tenant: the first event
    of the file follows one of the archived events.
    """

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self.name = f"{getattr(file, 'name', '<stdin>')}, after {folder},"
        self._file = file
        self._folder = folder
        self._before: Iterator[bytes] | None = None

    def readline(self, limit: int = -1) -> bytes:
        """Return the next line; raises ArchiveCorrupted."""
        if self._before is None:
            first = self._file.readline(limit)
            self._before = chain(self._lines_before(first), (first,))
        return next(self._before, None) or self._file.readline(limit)

    def _lines_before(self, first: bytes) -> Iterator[bytes]:
        event = _parse(first)
        if event is None or event["sequence"] <= 1:
            return
        tenant = self._tenant(event)
        for one in ArchiveFolder(self._folder).events():
            if one.tenant == tenant and one.sequence < event["sequence"]:
                yield encode_line(public_event(one))

    def _tenant(self, event: dict[str, Any]) -> str:
        """Return the tenant of ``event``; reads the whole archive, which also verifies it."""
        found: str | None = None
        for one in ArchiveFolder(self._folder).events():
            if one.sequence == event["sequence"] - 1 and _follows(event, one):
                found = one.tenant
        if found is None:
            raise ArchiveCorrupted(
                f"no event in {self._folder} is the one before event {event['sequence']},"
                " with which the file begins"
            )
        return found


def _parse(raw: bytes) -> dict[str, Any] | None:
    """Return the event; None for other content, which the reader of the file reports."""
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and type(event.get("sequence")) is int else None


def _follows(event: dict[str, Any], before: RecordedEvent) -> bool:
    try:
        verify_exported_event(event, StreamHead(sequence=before.sequence, hash=before.hash))
    except (ChainBroken, LookupError, TypeError):
        return False
    return True
