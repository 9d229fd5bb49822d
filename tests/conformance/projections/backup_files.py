"""A log with answers in it, its backup, and what can be done to such a file."""

import gzip
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Table, select

from quorate.eventlog.archive.backup import LogTables, back_up
from quorate.eventlog.database import Database
from quorate.eventlog.serialization import canonical
from quorate.eventlog.tables import answers, events
from quorate.projections.restore import RestoreResult, restore
from quorate.projections.tables import metadata
from tests.conformance.projections.random_history import NOON

MADE_AT = NOON
TABLES = (events, answers, *metadata.sorted_tables)
Line = dict[str, Any]


async def backup_of(database: Database, archive: Path | None = None) -> bytes:
    """Taken as the verb takes it, of a log that nobody here has open."""
    await database.open(LogTables())
    try:
        return await taken(database, archive)
    finally:
        await database.close()


async def taken(database: Database, archive: Path | None = None) -> bytes:
    """By whoever has it open already."""
    file = io.BytesIO()
    await back_up(database, file, MADE_AT, archive=archive)
    return file.getvalue()


async def restored(
    database: Database, backup: bytes, progress: Callable[[int, int], None] = lambda *_: None
) -> RestoreResult:
    return await restore(database, io.BytesIO(backup), progress)


async def content(database: Database) -> Mapping[str, Sequence[Any]]:
    """Every row of every table, in the order of its key."""

    def read(connection: Connection) -> Mapping[str, Sequence[Any]]:
        return {table.name: _rows(connection, table) for table in TABLES}

    return await database.inspect(read)


def _rows(connection: Connection, table: Table) -> Sequence[Any]:
    return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]


# -- What may happen to a file ---------------------------------------------------


def lines(backup: bytes) -> list[Line]:
    return [orjson.loads(line) for line in gzip.decompress(backup).splitlines()]


def packed(rows: Sequence[Line]) -> bytes:
    return gzip.compress(b"".join(canonical(row) + b"\n" for row in rows), mtime=0)


def sealed_again(rows: list[Line]) -> bytes:
    """By somebody who knows how it is done."""
    before = b"".join(canonical(row) + b"\n" for row in rows[:-1])
    rows[-1]["end"]["sha256"] = hashlib.sha256(before).hexdigest()
    return packed(rows)


def without_an_event(rows: list[Line]) -> None:
    del rows[7]


def without_the_last_event(rows: list[Line]) -> None:
    """Cut off where nobody would see it, but for the header."""
    del rows[rows[0]["until"]["position"]]


def two_in_each_others_place(rows: list[Line]) -> None:
    rows[5], rows[6] = rows[6], rows[5]


def one_changed(rows: list[Line]) -> None:
    rows[9]["actor"] = "keyother"


def one_of_another_tenant(rows: list[Line]) -> None:
    rows[9]["tenant"] = "umbrella" if rows[9]["tenant"] == "acme" else "acme"


def an_answer_changed(rows: list[Line]) -> None:
    rows[-2]["answer"]["body"] += " "


def without_an_answer(rows: list[Line]) -> None:
    del rows[-2]


def without_the_end(rows: list[Line]) -> None:
    del rows[-1]


def a_line_behind_the_end(rows: list[Line]) -> None:
    rows.append(rows[3])


def the_header_says_less(rows: list[Line]) -> None:
    rows[0]["until"] = {"position": 9, "hash": rows[9]["hash"]}


def of_another_kind(rows: list[Line]) -> None:
    rows[0]["format"] = "quorate-archive"


def of_a_later_version(rows: list[Line]) -> None:
    rows[0]["version"] = 2


FORGERIES = (
    without_an_event,
    without_the_last_event,
    two_in_each_others_place,
    one_changed,
    one_of_another_tenant,
    an_answer_changed,
    without_an_answer,
    without_the_end,
    a_line_behind_the_end,
    the_header_says_less,
    of_another_kind,
    of_a_later_version,
)


def backup_file(folder: Path, backup: bytes) -> Path:
    path = folder / "quorate.backup"
    path.write_bytes(backup)
    return path
