"""Move a log's events to several small archive files."""

from collections.abc import Sequence
from pathlib import Path

from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.archive.archiver import ArchivedFile, Archiver
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.recorded_event import RecordedEvent
from tests.conformance.projections.random_history import NOON

EVENTS_PER_FILE = 30
FILES = 3
END = FILES * EVENTS_PER_FILE
LATER = Timestamp(NOON + 10**12)
ALL = 10_000


async def move(log: EventStore, folder: Path, files: int = FILES) -> list[ArchivedFile]:
    archiver = Archiver(log.database, folder)
    moved = []
    for _ in range(files):
        await archiver.check_folder()
        item = await archiver.move(LATER, LATER, EVENTS_PER_FILE)
        assert item is not None
        moved.append(item)
    return moved


async def events(log: EventStore) -> Sequence[RecordedEvent]:
    return await log.after(0, ALL)
