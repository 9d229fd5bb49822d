"""`quorate restore`: create a database from a backup, or only verify the backup.

The command verifies the whole file before it opens the database, and again while it writes.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from quorate.cli.commands.backup import details, head_hash, last_event_hash, summarize
from quorate.cli.database_options import DatabaseTarget, database_options, report_database_errors
from quorate.cli.options import json_option
from quorate.cli.output.console import print_hint, print_json, print_line, progress
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.eventlog.archive.backup import BackupSummary
    from quorate.projections.restore import RestoreResult

EPILOG = """
\b
Examples:
  quorate backup quorate.backup
  quorate restore --check quorate.backup
  quorate restore quorate.backup --data-dir ./restored
  quorate restore quorate.backup \\
    --database-url postgresql+asyncpg://owner@host/quorate
"""
_HEAD = re.compile(r"[0-9]{1,18}:[0-9a-fA-F]{64}")


def _parse_head(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _HEAD.fullmatch(value):
        raise click.BadParameter("must be POSITION:HASH, as `quorate backup` prints it.")
    return value and value.lower()


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@database_options
@click.option("--check", is_flag=True, help="Only verify FILE; no database is opened.")
@click.option(
    "--head",
    "expected_head",
    metavar="POSITION:HASH",
    callback=_parse_head,
    help="Head hash that you stored: FILE must be that backup, with every event and response"
    " unchanged.",
)
@json_option
def restore(
    database: DatabaseTarget, file: Path, check: bool, expected_head: str | None, as_json: bool
) -> None:
    """Restore the backup FILE into an empty database, atomically.

    No service may use the database. Events after the backup are lost: read the page
    docs/operations/backup-and-restore.md before you start services again.
    """
    with report_database_errors(), file.open("rb") as source:
        found = _verify_file(source, file, expected_head)
        restored = None if check else _restore(database, source)
    if as_json:
        print_json(
            {"file": str(file), **details(found), **({"rows": restored.rows} if restored else {})}
        )
    elif restored is None:
        print_line(f"{file} is valid: {summarize(found)}.")
        print_line(f"Head hash: {head_hash(found)}")
    else:
        print_line(f"Restored {summarize(found)}; built {restored.rows} rows from them.")
        print_hint(
            "If the JetStream mirror contains newer events, the service leaves it unchanged until "
            "you run `quorate mirror reset`."
        )


def _verify_file(source: BinaryIO, file: Path, expected_head: str | None) -> "BackupSummary":
    from quorate.eventlog.archive.backup import verify_backup
    from quorate.eventlog.archive.export_format import FileCorrupted

    try:
        with progress("Checking") as advance:
            found = verify_backup(source, advance)
    except FileCorrupted as damage:
        raise Failure(f"{file} is corrupted at {damage}") from damage
    if expected_head is not None and expected_head == last_event_hash(found):
        print_hint(
            "Warning: an older version printed this head hash. It covers only the events of one"
            f" tenant; store {head_hash(found)} instead."
        )
    elif expected_head is not None and expected_head != head_hash(found):
        raise Failure(f"{file} is a different backup: its head hash is {head_hash(found)}")
    return found


def _restore(database: DatabaseTarget, source: BinaryIO) -> "RestoreResult":
    from quorate.eventlog.archive.export_format import FileCorrupted
    from quorate.projections.restore import DatabaseNotEmpty

    try:
        with _remove_on_failure(database), database.lock():
            return _load(database, source)
    except DatabaseNotEmpty as there:
        place = database.path or "The database"
        raise Failure(
            f"{place} is not empty: move it away, or give an empty database with --database-url"
        ) from there
    except FileCorrupted as damage:
        raise Failure(f"The file changed after it was verified: {damage}") from damage


@contextmanager
def _remove_on_failure(database: DatabaseTarget) -> Iterator[None]:
    """Delete a newly created SQLite file if the restore fails."""
    from quorate.server.bootstrap import create_data_dir

    if database.path is None or database.path.exists():
        yield
        return
    create_data_dir(database.path.parent)
    try:
        yield
    except BaseException:
        database.path.unlink(missing_ok=True)
        raise


def _load(database: DatabaseTarget, source: BinaryIO) -> "RestoreResult":
    import asyncio

    from quorate.projections.restore import restore

    source.seek(0)
    with progress("Restoring") as advance:
        return asyncio.run(restore(database.adapter(), source, advance))
