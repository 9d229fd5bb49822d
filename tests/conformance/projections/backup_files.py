"""Backup files of a log with idempotency keys, restores of them, and manipulations."""

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
from quorate.eventlog.tables import answers, events, message_bodies
from quorate.projections.restore import RestoreResult, restore
from quorate.projections.tables import metadata
from tests.conformance.projections.random_history import NOON

CREATED_AT = NOON
TABLES = (events, answers, message_bodies, *metadata.sorted_tables)
Line = dict[str, Any]


async def backup_of(database: Database, archive: Path | None = None) -> bytes:
    """Back up a log that this process has not opened, like the command ``backup``."""
    await database.open(LogTables())
    try:
        return await back_up_open_database(database, archive)
    finally:
        await database.close()


async def back_up_open_database(database: Database, archive: Path | None = None) -> bytes:
    """Back up a database that is already open."""
    file = io.BytesIO()
    await back_up(database, file, CREATED_AT, archive=archive)
    return file.getvalue()


async def restore_from(
    database: Database, backup: bytes, progress: Callable[[int, int], None] = lambda *_: None
) -> RestoreResult:
    return await restore(database, io.BytesIO(backup), progress)


async def content(database: Database) -> Mapping[str, Sequence[Any]]:
    """Return every row of every table, in the order of its key."""

    def read(connection: Connection) -> Mapping[str, Sequence[Any]]:
        return {table.name: _rows(connection, table) for table in TABLES}

    return await database.inspect(read)


def _rows(connection: Connection, table: Table) -> Sequence[Any]:
    return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]


# -- Manipulations of a file -----------------------------------------------------


def lines(backup: bytes) -> list[Line]:
    return [orjson.loads(line) for line in gzip.decompress(backup).splitlines()]


def pack(rows: Sequence[Line]) -> bytes:
    return gzip.compress(b"".join(canonical(row) + b"\n" for row in rows), mtime=0)


def seal(rows: list[Line]) -> bytes:
    """Pack rows with a recomputed seal, like an attacker who knows the format."""
    before = b"".join(canonical(row) + b"\n" for row in rows[:-1])
    rows[-1]["end"]["sha256"] = hashlib.sha256(before).hexdigest()
    return pack(rows)


def remove_an_event(rows: list[Line]) -> None:
    del rows[7]


def remove_the_last_event(rows: list[Line]) -> None:
    """Remove the last event: only the header shows that it is missing."""
    del rows[rows[0]["until"]["position"]]


def swap_two_events(rows: list[Line]) -> None:
    rows[5], rows[6] = rows[6], rows[5]


def change_an_actor(rows: list[Line]) -> None:
    rows[9]["actor"] = "keyother"


def change_a_tenant(rows: list[Line]) -> None:
    rows[9]["tenant"] = "umbrella" if rows[9]["tenant"] == "acme" else "acme"


def last_response(rows: list[Line]) -> Line:
    """Return the last stored response; bodies follow the responses."""
    found: Line = next(row["answer"] for row in reversed(rows) if "answer" in row)
    return found


def change_a_response(rows: list[Line]) -> None:
    last_response(rows)["body"] += " "


def remove_a_response(rows: list[Line]) -> None:
    rows.remove(next(row for row in reversed(rows) if "answer" in row))


def remove_the_seal(rows: list[Line]) -> None:
    del rows[-1]


def append_a_line(rows: list[Line]) -> None:
    rows.append(rows[3])


def shorten_the_header(rows: list[Line]) -> None:
    rows[0]["until"] = {"position": 9, "hash": rows[9]["hash"]}


def change_the_format(rows: list[Line]) -> None:
    rows[0]["format"] = "quorate-archive"


def raise_the_version(rows: list[Line]) -> None:
    rows[0]["version"] = 2


FORGERIES = (
    remove_an_event,
    remove_the_last_event,
    swap_two_events,
    change_an_actor,
    change_a_tenant,
    change_a_response,
    remove_a_response,
    remove_the_seal,
    append_a_line,
    shorten_the_header,
    change_the_format,
    raise_the_version,
)


def backup_file(folder: Path, backup: bytes) -> Path:
    path = folder / "quorate.backup"
    path.write_bytes(backup)
    return path
