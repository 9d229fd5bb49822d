"""`quorate log`: archive old events to files, and verify the whole event log."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.database_options import DatabaseTarget, database_options, report_database_errors
from quorate.cli.options import json_option
from quorate.cli.output.console import Progress, print_json, print_line, progress
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.eventlog.archive.archiver import ArchivedFile

DAYS_DEFAULT = 30.0
DAYS_MIN = 1.0
DAYS_MAX = 36_500.0
MILLISECONDS_PER_DAY = 86_400_000
ARCHIVE_EPILOG = """
\b
Examples:
  quorate log archive ./archive
  quorate log archive ./archive --older-than-days 365
  quorate log verify --archive ./archive
"""
VERIFY_EPILOG = """
\b
Examples:
  quorate log verify
  quorate log archive ./archive
  quorate log verify --archive ./archive
"""


@click.command(epilog=ARCHIVE_EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@database_options
@click.option(
    "--older-than-days",
    type=click.FloatRange(DAYS_MIN, DAYS_MAX),
    default=DAYS_DEFAULT,
    show_default=True,
    help="Minimum age of the archived events, in days.",
)
@json_option
def archive(database: DatabaseTarget, folder: Path, older_than_days: float, as_json: bool) -> None:
    """Move old events from the database to compressed files in FOLDER.

    Each file is flushed to disk and verified before its events are deleted. Keep FOLDER:
    rebuilds, backups and audits of the whole log need it (--archive). With SQLite the service must
    be stopped; on PostgreSQL it may be running.
    """
    import asyncio

    from quorate.eventlog.archive.archiver import ArchiveConflict

    with report_database_errors():
        database.require_existing()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with database.lock(), progress("Archiving") as advance:
                moved = asyncio.run(_archive(database, folder, older_than_days, advance))
        except ArchiveConflict as other:
            raise Failure("Another process is archiving this log: no event was deleted") from other
        except OSError as error:
            raise Failure(f"Cannot write {folder}: {error.strerror}") from error
    if as_json:
        print_json({"files": [_as_json(one) for one in moved]})
    elif not moved:
        print_line(f"Nothing archived: no event is older than {older_than_days:g} days.")
    else:
        for one in moved:
            print_line(f"{one.path} contains the events at positions {one.first} to {one.last}.")


async def _archive(
    database: DatabaseTarget, folder: Path, days: float, advance: Progress
) -> "list[ArchivedFile]":
    import time

    from quorate.domain.shared.timestamps import Timestamp
    from quorate.eventlog.archive.archiver import Archiver
    from quorate.projections.migrations.schema import CURRENT_SCHEMA_ONLY

    now = Timestamp(time.time_ns() // 1_000_000)
    older_than = Timestamp(now - round(days * MILLISECONDS_PER_DAY))
    adapter = database.adapter()
    moved = []
    try:
        await adapter.open(CURRENT_SCHEMA_ONLY)
        archiver = Archiver(adapter, folder)
        await archiver.check_folder()
        while (one := await archiver.move(older_than, now)) is not None:
            moved.append(one)
            advance(one.last, None)
    finally:
        await adapter.close()
    return moved


def _as_json(one: "ArchivedFile") -> dict[str, Any]:
    return {"file": str(one.path), "first": one.first, "last": one.last, "sha256": one.sha256}


@click.command(epilog=VERIFY_EPILOG)
@database_options
@archive_option
@click.option(
    "--oldest-removed", is_flag=True, help="Accept that the oldest archive files were removed."
)
@json_option
def verify(
    database: DatabaseTarget, archive: Path | None, oldest_removed: bool, as_json: bool
) -> None:
    """Verify every event of every tenant in the database, and with --archive in the archive files.

    Every stored message body must match its hash in its event. Read-only; the service may be
    running.
    """
    import asyncio

    with report_database_errors():
        database.require_existing()
        with progress("Verifying") as advance:
            found = asyncio.run(_verify(database, archive, oldest_removed, advance))
    if as_json:
        print_json(found)
        return
    print_line(f"The event log is valid: {found['events']} events, up to position {found['head']}.")
    if any(found["contents"].values()):
        print_line(_describe_contents(**found["contents"]))
    if found["archivedChecked"]:
        print_line(f"The archived events in {archive} are valid, from position {found['first']}.")
    elif found["archived"]:
        print_line(f"{found['archived']} earlier events are archived: verify them with --archive.")


def _describe_contents(verified: int, erased: int, unverified: int) -> str:
    text = f"{verified} message bodies are valid; those of {erased} messages were erased."
    return f"{text} {unverified} more belong to archived events." if unverified else text


async def _verify(
    database: DatabaseTarget, folder: Path | None, oldest_removed: bool, advance: Progress
) -> dict[str, Any]:
    from quorate.eventlog.archive.archiver import archive_end, verify_archive
    from quorate.eventlog.archive.content_verifier import verify_contents
    from quorate.eventlog.event_store import EventStore
    from quorate.eventlog.sqlite.snapshot import SqliteSnapshot
    from quorate.projections.migrations.schema import CURRENT_SCHEMA_ONLY

    adapter = SqliteSnapshot(database.path) if database.path else database.adapter()
    try:
        await adapter.open(CURRENT_SCHEMA_ONLY)
        end = await adapter.inspect(archive_end)
        first = end.position + 1
        if folder is not None:
            first = await verify_archive(adapter, folder, advance, oldest_removed=oldest_removed)
        log = EventStore(adapter)
        head = await log.committed_head()
        done = 0

        def count(events: int) -> None:
            nonlocal done
            done += events
            advance(done, head - end.position)

        await log.verify_range(0, head, progress=count)
        contents = await verify_contents(adapter, folder, oldest_removed=oldest_removed)
    finally:
        await adapter.close()
    return {
        "ok": True,
        "events": head - end.position,
        "first": first,
        "head": head,
        "archived": end.position,
        "archivedChecked": 0 < end.position >= first,
        "contents": {
            "verified": contents.verified,
            "erased": contents.erased,
            "unverified": contents.unverified,
        },
    }
