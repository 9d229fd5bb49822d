"""`quorate log`: the log itself, its old events moved to files, and the whole of it checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.database_options import DatabaseTarget, database_failures, database_options
from quorate.cli.options import json_option
from quorate.cli.output.console import Progress, print_json, progress, say
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.eventlog.archive.archiver import Archived

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
    help="How old events must be.",
)
@json_option
def archive(database: DatabaseTarget, folder: Path, older_than_days: float, as_json: bool) -> None:
    """Move old events from the database to compressed files in FOLDER.

    Each file is on the disk and was read again before anything is deleted, and both happen or
    neither. FOLDER belongs to this log from then on: rebuilding, backups and audits of the whole
    log need it. In a data folder the service must be stopped; on PostgreSQL it may be running.
    """
    import asyncio

    from quorate.eventlog.archive.archiver import ArchivedMeanwhile

    with database_failures():
        database.must_exist()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with database.alone(), progress("Archiving") as advance:
                moved = asyncio.run(_moved(database, folder, older_than_days, advance))
        except ArchivedMeanwhile as other:
            raise Failure("Somebody else is archiving this log: nothing was deleted") from other
        except OSError as error:
            raise Failure(f"{folder} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"files": [_facts(one) for one in moved]})
    elif not moved:
        say(f"Nothing to do: no event is older than {older_than_days:g} days.")
    else:
        for one in moved:
            say(f"{one.path} holds the events at positions {one.first} to {one.last}.")


async def _moved(
    database: DatabaseTarget, folder: Path, days: float, advance: Progress
) -> "list[Archived]":
    import time

    from quorate.domain.shared.timestamps import Timestamp
    from quorate.eventlog.archive.archiver import Archiver
    from quorate.projections.migrations.schema import ONLY_TODAYS

    now = Timestamp(time.time_ns() // 1_000_000)
    older_than = Timestamp(now - round(days * MILLISECONDS_PER_DAY))
    backend = database.backend()
    moved = []
    try:
        await backend.open(ONLY_TODAYS)
        archiver = Archiver(backend, folder)
        await archiver.check_folder()
        while (one := await archiver.move(older_than, now)) is not None:
            moved.append(one)
            advance(one.last, None)
    finally:
        await backend.close()
    return moved


def _facts(one: "Archived") -> dict[str, Any]:
    return {"file": str(one.path), "first": one.first, "last": one.last, "sha256": one.sha256}


@click.command(epilog=VERIFY_EPILOG)
@database_options
@archive_option
@click.option(
    "--oldest-removed", is_flag=True, help="It is fine that the first files are not there any more."
)
@json_option
def verify(
    database: DatabaseTarget, archive: Path | None, oldest_removed: bool, as_json: bool
) -> None:
    """Check every event of every tenant in the database, and with --archive those in its files.

    Changes nothing; the service may be running.
    """
    import asyncio

    with database_failures():
        database.must_exist()
        with progress("Verifying") as advance:
            found = asyncio.run(_verified(database, archive, oldest_removed, advance))
    if as_json:
        print_json(found)
        return
    say(f"The log is whole: {found['events']} events, up to position {found['head']}.")
    if found["archivedChecked"]:
        say(f"Those before them are whole in {archive}, from position {found['first']} on.")
    elif found["archived"]:
        say(f"The {found['archived']} before them were archived: look at them with --archive.")


async def _verified(
    database: DatabaseTarget, folder: Path | None, oldest_removed: bool, advance: Progress
) -> dict[str, Any]:
    from quorate.eventlog.archive.archiver import archive_end, check_archive
    from quorate.eventlog.event_store import EventStore
    from quorate.eventlog.sqlite.snapshot import SqliteSnapshot
    from quorate.projections.migrations.schema import ONLY_TODAYS

    backend = SqliteSnapshot(database.path) if database.path else database.backend()
    try:
        await backend.open(ONLY_TODAYS)
        end = await backend.inspect(archive_end)
        first = end.position + 1
        if folder is not None:
            first = await check_archive(backend, folder, advance, oldest_removed=oldest_removed)
        log = EventStore(backend)
        head = await log.committed_head()
        done = 0

        def count(events: int) -> None:
            nonlocal done
            done += events
            advance(done, head - end.position)

        await log.check_range(0, head, progress=count)
    finally:
        await backend.close()
    return {
        "ok": True,
        "events": head - end.position,
        "first": first,
        "head": head,
        "archived": end.position,
        "archivedChecked": 0 < end.position >= first,
    }
