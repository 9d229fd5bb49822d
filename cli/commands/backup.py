"""`quorate backup`: write the whole event log to one file, beside a running service."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.database_options import DatabaseTarget, database_options, report_database_errors
from quorate.cli.options import json_option
from quorate.cli.output.console import Progress, print_json, progress
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.eventlog.archive.backup import BackupSummary

STDOUT = "-"
EPILOG = """
\b
Examples:
  quorate backup quorate.backup
  quorate backup - > quorate.backup
  quorate restore --check quorate.backup
"""


@click.command(epilog=EPILOG)
@click.argument("file")
@database_options
@archive_option
@json_option
def backup(database: DatabaseTarget, file: str, archive: Path | None, as_json: bool) -> None:
    """Write the whole event log to FILE ("-" is stdout); the service may be running.

    The backup verifies the hash chain of each tenant and includes archived events (--archive).
    FILE appears only when it is complete. `quorate restore` restores it to SQLite or PostgreSQL.
    """
    import asyncio

    from quorate.eventlog.archive.backup import LogEmpty

    with report_database_errors():
        database.require_existing()
        try:
            with _sink(file) as sink, progress("Backing up") as advance:
                made = asyncio.run(_backed_up(database, sink, archive, advance))
        except LogEmpty as nothing:
            raise Failure("The event log is empty: no events to back up") from nothing
        except OSError as error:
            raise Failure(f"Cannot write {file}: {error.strerror}") from error
    _record_backup(database.data_dir)
    if as_json and file != STDOUT:
        print_json({"file": file, **details(made)})
    else:
        click.echo(_report(file, made), err=file == STDOUT)


async def _backed_up(
    database: DatabaseTarget, sink: BinaryIO, archive: Path | None, advance: Progress
) -> "BackupSummary":
    import time

    from quorate.domain.shared.timestamps import Timestamp
    from quorate.eventlog.archive.backup import LogTables, back_up
    from quorate.eventlog.sqlite.snapshot import SqliteSnapshot

    adapter = SqliteSnapshot(database.path) if database.path else database.adapter()
    try:
        await adapter.open(LogTables())
        made_at = Timestamp(time.time_ns() // 1_000_000)
        return await back_up(adapter, sink, made_at, advance, archive)
    finally:
        await adapter.close()


@contextmanager
def _sink(file: str) -> Iterator[BinaryIO]:
    from quorate.runtime.atomic_file import write_atomically

    if file == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with write_atomically(Path(file)) as sink:
        yield sink


def _record_backup(data_dir: Path) -> None:
    """Let the service report the age of the last backup; a read-only directory is no failure."""
    from quorate.runtime.service_defaults import LAST_BACKUP

    if data_dir.is_dir():
        with suppress(OSError):
            (data_dir / LAST_BACKUP).touch(mode=0o600)


# -- Output ----------------------------------------------------------------------


def details(made: "BackupSummary") -> dict[str, Any]:
    from quorate.domain.shared.timestamps import iso

    return {
        "madeAt": iso(made.header.made_at),
        "events": made.seal.events,
        "answers": made.seal.answers,
        "contents": made.seal.contents,
        "lastEventAt": iso(made.at),
        "head": {"position": made.header.until, "hash": made.header.hash.hex()},
        "headHash": head_hash(made),
        "sha256": made.seal.sha256,
    }


def summarize(made: "BackupSummary") -> str:
    from quorate.domain.shared.timestamps import iso

    contents = f", {made.seal.contents} message bodies" if made.seal.contents else ""
    return (
        f"{made.seal.events} events, the last at {iso(made.at)}{contents}, "
        f"and {made.seal.answers} responses stored under idempotency keys"
    )


def head_hash(made: "BackupSummary") -> str:
    """Return the position of the last event, and the hash of everything in the file."""
    return f"{made.header.until}:{made.seal.sha256}"


def last_event_hash(made: "BackupSummary") -> str:
    """Return the head hash that earlier versions printed: of the last event's tenant only."""
    return f"{made.header.until}:{made.header.hash.hex()}"


def _report(file: str, made: "BackupSummary") -> str:
    target = "stdout" if file == STDOUT else file
    return (
        f"{target} contains {summarize(made)}; all hash chains verified.\n"
        f"Head hash to store: {head_hash(made)}"
    )
