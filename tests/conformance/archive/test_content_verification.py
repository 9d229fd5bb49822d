"""Contents are backed up, stay when their events are archived, and any change of one is found."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from quorate.domain.coordination.send_gate import SendAuthorized
from quorate.domain.registry import SCHEMA
from quorate.domain.shared.contents import Content
from quorate.eventlog.archive import content_verifier
from quorate.eventlog.archive.archiver import Archiver
from quorate.eventlog.archive.backup import verify_backup
from quorate.eventlog.archive.content_verifier import VerifiedContents, verify_contents
from quorate.eventlog.archive.export_format import FileCorrupted
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore, LogCorrupted
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections import restore as restore_module
from quorate.projections.migrations.schema import SCHEMA as SCHEMA_TABLES
from quorate.projections.restore import DatabaseNotEmpty
from tests.conformance.archive.archive_files import LATER
from tests.conformance.archive.content_events import append
from tests.conformance.eventlog.conformance import PLATFORMS, Platform, Sqlite
from tests.conformance.projections.backup_files import (
    Line,
    back_up_open_database,
    lines,
    restore_from,
    seal,
)
from tests.conformance.projections.backup_files import content as rows_of

TENANT = "acme"
NOTE, LETTER, GONE = "note_1", "msg_1", "msg_2"


def part(id_: str, name: str = "text", data: bytes = b"hello") -> Content:
    return Content(id=id_, part=name, salt=id_.encode().ljust(16), data=data)


GIVEN = (part(NOTE), part(LETTER, data=b""), part(LETTER, "html", bytes(range(256)) * 40))


@pytest.fixture
async def filled(log: EventStore, monkeypatch: pytest.MonkeyPatch) -> EventStore:
    """A log with the contents of two messages; those of a third one were erased."""
    monkeypatch.setitem(SCHEMA.erases, SendAuthorized, lambda event: event.send_id)
    await append(log, TENANT, NOTE, GIVEN[0])
    await append(log, TENANT, LETTER, *GIVEN[1:])
    await append(log, TENANT, GONE, part(GONE))
    await append(log, TENANT, "other", send_id=GONE)
    async with log.write() as transaction:
        await ContentStore(log.database).erase(transaction, [(TENANT, GONE)])
    return log


async def bodies(database: Database) -> Sequence[Any]:
    return (await rows_of(database))["message_bodies"]


# -- Verification ----------------------------------------------------------------


@pytest.mark.parametrize("positions", [1, content_verifier.POSITIONS_PER_PAGE])
async def test_stored_and_erased_contents_are_valid(
    filled: EventStore, positions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_verifier, "POSITIONS_PER_PAGE", positions)

    found = await verify_contents(filled.database)

    assert found == VerifiedContents(verified=3, erased=1, unverified=0)
    await filled.verify_range(0, await filled.committed_head())


async def test_log_without_contents_is_valid(log: EventStore) -> None:
    assert await verify_contents(log.database) == VerifiedContents()


TAMPERED = {
    "UPDATE message_bodies SET body = ? WHERE message_id = 'note_1'": "differs from its hash",
    "UPDATE message_bodies SET salt = ? WHERE message_id = 'note_1'": "differs from its hash",
    "UPDATE message_bodies SET body = ? WHERE part = 'html'": "5 bytes, not 10240",
    "UPDATE message_bodies SET part = 'image' WHERE message_id = 'note_1' AND body <> ?": (
        "does not refer to a content 'image'"
    ),
    "UPDATE message_bodies SET tenant = 'globex' WHERE message_id = 'note_1' AND body <> ?": (
        "contents of note_1 are missing, and no event erased them"
    ),
    "DELETE FROM message_bodies WHERE part = 'html' AND body <> ?": (
        "contents of msg_1 are missing, and no event erased them"
    ),
    "INSERT INTO message_bodies SELECT tenant, message_id, 'html', salt, CAST(? AS {type})"
    " FROM message_bodies WHERE message_id = 'note_1'": "does not refer to a content 'html'",
    "INSERT INTO message_bodies SELECT tenant, 'msg_9', part, salt, CAST(? AS {type})"
    " FROM message_bodies WHERE message_id = 'note_1'": "1 contents belong to no event",
}


@pytest.mark.parametrize("statement", TAMPERED)
async def test_changed_missing_or_added_content_is_found(
    filled: EventStore, platform: Platform, statement: str
) -> None:
    blob = "BLOB" if isinstance(platform, Sqlite) else "bytea"
    platform.overwrite(statement.format(type=blob), b"HELLO")

    with pytest.raises(LogCorrupted, match=TAMPERED[statement]):
        await verify_contents(filled.database)


async def test_contents_of_archived_events_stay_and_are_verified_with_the_files(
    filled: EventStore, folder: Path
) -> None:
    before = await bodies(filled.database)
    head = await filled.committed_head()
    archiver = Archiver(filled.database, folder)
    assert await archiver.move(LATER, LATER, head - 2)  # The event of one message stays.

    assert await bodies(filled.database) == before
    without = await verify_contents(filled.database)
    assert without == VerifiedContents(verified=0, erased=1, unverified=3)
    assert await verify_contents(filled.database, folder) == VerifiedContents(verified=3, erased=1)


async def test_changed_content_of_an_archived_event_is_found(
    filled: EventStore, platform: Platform, folder: Path
) -> None:
    archiver = Archiver(filled.database, folder)
    assert await archiver.move(LATER, LATER, await filled.committed_head())
    platform.overwrite("UPDATE message_bodies SET body = ? WHERE part = 'html'", b"HELLO")

    with pytest.raises(LogCorrupted, match="5 bytes"):
        await verify_contents(filled.database, folder)


# -- Backup and restore ------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(PLATFORMS))
async def test_backup_brings_contents_back_on_each_kind_of_database(
    filled: EventStore, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_module, "CONTENT_BYTES_TOGETHER", 6)
    backup = await back_up_open_database(filled.database)
    other = tmp_path / "other"
    other.mkdir()
    target = PLATFORMS[kind](other).database()

    result = await restore_from(target, backup)

    assert result.seal.contents == 3
    assert await bodies(target) == await bodies(filled.database)
    again = EventStore(target)
    await again.open(SCHEMA_TABLES)
    try:
        assert await verify_contents(target) == await verify_contents(filled.database)
        assert await back_up_open_database(target) == backup
    finally:
        await again.close()


async def test_database_with_contents_only_is_not_empty(tmp_path: Path, backup: bytes) -> None:
    store = EventStore(SqliteDatabase(tmp_path / "quorate.db"))
    await store.open(SCHEMA_TABLES)
    async with store.write() as transaction:
        await ContentStore(store.database).save(transaction, [(TENANT, part(NOTE))])
    await store.close()

    with pytest.raises(DatabaseNotEmpty):
        await restore_from(SqliteDatabase(tmp_path / "quorate.db"), backup)


def drop(row: Line) -> None:
    del row["content"]["salt"]


def add(row: Line) -> None:
    row["content"]["more"] = ""


def retype(row: Line) -> None:
    row["content"]["data"] = 5


def misspell(row: Line) -> None:
    row["content"]["data"] = "not base64!"


def shout(row: Line) -> None:
    row["content"]["salt"] = row["content"]["salt"].upper()


def lengthen(row: Line) -> None:
    row["content"]["part"] = "p" * 65


def disown(row: Line) -> None:
    row["tenant"] = ""


@pytest.mark.parametrize("change", [drop, add, retype, misspell, shout, lengthen, disown])
async def test_malformed_content_in_a_backup_is_rejected(
    filled: EventStore, change: Callable[[Line], None]
) -> None:
    """Although the seal is right, like that of an attacker who knows the format."""
    rows = lines(await back_up_open_database(filled.database))
    assert verify_backup(BytesIO(seal(rows))).seal.contents == 3
    change(rows[-2])

    with pytest.raises(FileCorrupted, match="is not a content"):
        verify_backup(BytesIO(seal(rows)))


async def test_backup_that_lacks_a_content_is_rejected(filled: EventStore) -> None:
    rows = lines(await back_up_open_database(filled.database))
    del rows[-2]

    with pytest.raises(FileCorrupted, match="differ from those that were sealed"):
        verify_backup(BytesIO(seal(rows)))
