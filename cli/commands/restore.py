"""`quorate restore`: a database made from a backup, or a backup looked at.

The file is read to its end before the database is touched, and followed again while it is written.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from quorate.cli.commands.backup import facts, head_to_keep, sentence
from quorate.cli.database_options import DatabaseTarget, database_failures, database_options
from quorate.cli.options import json_option
from quorate.cli.output.console import print_json, progress, remark, say
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.eventlog.archive.backup import BackedUp
    from quorate.projections.restore import Restored

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


def _head(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _HEAD.fullmatch(value):
        raise click.BadParameter("it is POSITION:HASH, as `quorate backup` prints it.")
    return value and value.lower()


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@database_options
@click.option("--check", is_flag=True, help="Only look whether FILE is whole: no database is used.")
@click.option(
    "--head",
    "kept",
    metavar="POSITION:HASH",
    callback=_head,
    help="The head you kept: FILE must be the backup that ends with it.",
)
@json_option
def restore(
    database: DatabaseTarget, file: Path, check: bool, kept: str | None, as_json: bool
) -> None:
    """Make a database from the backup FILE, all of it or nothing. It must be an empty one.

    No service may be using it. What happened after the backup is gone: read "Backup, restore and
    archiving" in the operating guide before services are started again.
    """
    with database_failures(), file.open("rb") as source:
        found = _examined(source, file, kept)
        restored = None if check else _restored(database, source)
    if as_json:
        print_json(
            {"file": str(file), **facts(found), **({"rows": restored.rows} if restored else {})}
        )
    elif restored is None:
        say(f"{file} is whole: {sentence(found)}.")
        say(f"Head: {head_to_keep(found)}")
    else:
        say(f"Restored {sentence(found)}; {restored.rows} rows were built from them.")
        remark(
            "If the service's NATS has a newer copy of the log, the copy is left alone until you "
            "run `quorate mirror reset`."
        )


def _examined(source: BinaryIO, file: Path, kept: str | None) -> "BackedUp":
    from quorate.eventlog.archive.backup import examine
    from quorate.eventlog.archive.export_format import Damaged

    try:
        with progress("Checking") as advance:
            found = examine(source, advance)
    except Damaged as damage:
        raise Failure(f"{file} is damaged at {damage}") from damage
    if kept is not None and kept != head_to_keep(found):
        raise Failure(f"{file} is another backup: it ends with {head_to_keep(found)}")
    return found


def _restored(database: DatabaseTarget, source: BinaryIO) -> "Restored":
    from quorate.eventlog.archive.export_format import Damaged
    from quorate.projections.restore import NotEmpty

    try:
        with _made_or_not(database), database.alone():
            return _filled(database, source)
    except NotEmpty as there:
        place = database.path or "The database"
        raise Failure(
            f"{place} is not empty: put it aside, or name an empty one with --database-url"
        ) from there
    except Damaged as damage:
        raise Failure(f"The file has changed since it was checked: {damage}") from damage


@contextmanager
def _made_or_not(database: DatabaseTarget) -> Iterator[None]:
    """Of a file that was not there before, nothing stays behind when it could not be filled."""
    from quorate.server.bootstrap import make_folder

    if database.path is None or database.path.exists():
        yield
        return
    make_folder(database.path.parent)
    try:
        yield
    except BaseException:
        database.path.unlink(missing_ok=True)
        raise


def _filled(database: DatabaseTarget, source: BinaryIO) -> "Restored":
    import asyncio

    from quorate.projections.restore import restore

    source.seek(0)
    with progress("Restoring") as advance:
        return asyncio.run(restore(database.backend(), source, advance))
