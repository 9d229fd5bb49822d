"""Old events in files that follow one another, each sealed, and each naming the seal before it.

A folder of them is the beginning of a log, for all tenants: whoever has the folder has every event
from the first to the last that was archived, or is told which file is missing. Only ``domain`` and
orjson are needed here: an auditor installs no server.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from quorate.domain.shared.records import record
from quorate.eventlog.archive.export_format import FileCorrupted, line
from quorate.eventlog.archive.sealed_file import Header, Seal, SealedReader
from quorate.eventlog.hash_chain import ChainBroken, public_event, verify_exported_event
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead

FORMAT = "quorate-archive"
POSITION_WIDTH = 12
FILE_PATTERN = "events-*.jsonl.gz"


class ArchiveCorrupted(Exception):
    """A file of the folder is missing or not what was written; says which."""


class ArchiveNeeded(Exception):
    """Events that are wanted were archived, and nobody said where to."""

    def __init__(self, until: int) -> None:
        super().__init__(
            f"events up to position {until} were archived: name their files' folder with --archive"
        )


@record
class ArchiveEnd:
    """The last archived position, and the seal of the file that has it."""

    position: int
    sha256: str | None


NOTHING_ARCHIVED = ArchiveEnd(position=0, sha256=None)


@record
class CompleteFile:
    """A file that was read to its end, and where every tenant's chain is by then."""

    header: Header
    seal: Seal
    heads: Mapping[str, StreamHead]


def file_name(first: int) -> str:
    """Of the file that begins at this position: names sort in the order of the log."""
    return f"events-{first:0{POSITION_WIDTH}d}.jsonl.gz"


class ArchiveFile:
    """One file, by itself. ``whole`` is known when all its events were read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole: CompleteFile | None = None

    def events(
        self, before: CompleteFile | None = None, *, alone: bool = False
    ) -> Iterator[RecordedEvent]:
        """In order; raises ArchiveDamaged, also when they don't follow the file ``before``."""
        try:
            with self.path.open("rb") as file:
                reader = SealedReader(file, FORMAT)
                if not alone:
                    self._must_follow(reader.header, before)
                yield from self._items(reader)
        except FileCorrupted as damage:
            raise ArchiveCorrupted(f"{self.path} is damaged at {damage}") from damage
        except OSError as error:
            raise ArchiveCorrupted(f"{self.path} cannot be read: {error.strerror}") from error

    def _items(self, reader: SealedReader) -> Iterator[RecordedEvent]:
        for item in reader.items():
            if not isinstance(item, RecordedEvent):
                raise ArchiveCorrupted(f"{self.path} holds what is no event")
            yield item
        assert reader.seal is not None
        self.whole = CompleteFile(header=reader.header, seal=reader.seal, heads=reader.chains.heads)

    def _must_follow(self, header: Header, before: CompleteFile | None) -> None:
        position = before.header.until if before else 0
        if header.after != position:
            missing = self.path.with_name(file_name(position + 1))
            raise ArchiveCorrupted(f"{missing} is missing: {self.path.name} comes after it")
        seal, heads = (before.seal.sha256, before.heads) if before else (None, {})
        if header.previous != seal or header.heads != heads:
            raise ArchiveCorrupted(f"{self.path} does not follow the file before it")


class ArchiveFolder:
    """The files of one log."""

    def __init__(self, path: Path, *, oldest_removed: bool = False) -> None:
        """``oldest_removed``: it may begin with any file, and is whole from there on."""
        self.path = path
        self.begins: int | None = None  # The first position that was read.
        self.read: CompleteFile | None = None  # The last file that was read.
        self._oldest_removed = oldest_removed

    @property
    def position(self) -> int:
        """Up to here all was read."""
        return self.read.header.until if self.read else 0

    def events(self, until: ArchiveEnd | None = None) -> Iterator[RecordedEvent]:
        """Every archived event from the first on; raises ArchiveDamaged.

        Up to ``until``, and not one less, if that is given; else up to where the files end.
        """
        self.read = None
        for path in sorted(self.path.glob(FILE_PATTERN)):
            if until is not None and self.position >= until.position:
                break
            file = ArchiveFile(path)
            yield from file.events(self.read, alone=self._oldest_removed and self.read is None)
            self.read = file.whole
            self.begins = self.begins or self._after() + 1
        if self.read is None and until is None:
            raise ArchiveCorrupted(f"{self.path} holds no archive files")
        if until is not None:
            self._must_end(until)

    def _after(self) -> int:
        return self.read.header.after if self.read else 0

    def _must_end(self, until: ArchiveEnd) -> None:
        if self.position < until.position:
            missing = self.path / file_name(self.position + 1)
            raise ArchiveCorrupted(
                f"{missing} is missing: events up to position {until.position} were archived"
            )
        if self.read is not None and self.read.seal.sha256 != until.sha256:
            raise ArchiveCorrupted(f"{self.path} is the archive of another log")


class ArchivedEvents:
    """The archived part of a log, read once, from its beginning on."""

    def __init__(self, folder: Path | None, until: ArchiveEnd) -> None:
        if until.position and folder is None:
            raise ArchiveNeeded(until.position)
        self.until = until.position
        self._events = ArchiveFolder(folder).events(until) if folder and until.position else None

    def page(self, limit: int) -> list[RecordedEvent]:
        """The next ones; empty only when all were read, and the end was the right one."""
        return list(islice(self._events, limit)) if self._events is not None else []


# -- For one tenant ---------------------------------------------------------------


class ExtendedExport:
    """An exported file together with the events of its tenant that come before it.

    Read line by line, as if all of it had been exported. Whose they are shows by the chain: the
    first event of the file follows one of them.
    """

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self.name = f"{getattr(file, 'name', '<stdin>')}, after {folder},"
        self._file = file
        self._folder = folder
        self._before: Iterator[bytes] | None = None

    def readline(self, limit: int = -1) -> bytes:
        """Raises ArchiveDamaged."""
        if self._before is None:
            first = self._file.readline(limit)
            self._before = chain(self._lines_before(first), (first,))
        return next(self._before, None) or self._file.readline(limit)

    def _lines_before(self, first: bytes) -> Iterator[bytes]:
        event = _parsed(first)
        if event is None or event["sequence"] <= 1:
            return
        tenant = self._tenant(event)
        for one in ArchiveFolder(self._folder).events():
            if one.tenant == tenant and one.sequence < event["sequence"]:
                yield line(public_event(one))

    def _tenant(self, event: dict[str, Any]) -> str:
        """Read all of the archive, so that it is known to be whole."""
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


def _parsed(raw: bytes) -> dict[str, Any] | None:
    """None for what is no event: whoever reads the file will say so."""
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
