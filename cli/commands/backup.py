"""`quorate backup`: the whole log as one file, taken beside a running service."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.database_options import DatabaseTarget, database_failures, database_options
from quorate.cli.options import json_option
from quorate.cli.output.console import Progress, print_json, progress
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.eventlog.archive.backup import BackedUp

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
    """Write all that the log holds to FILE ("-" is stdout), while the service runs.

    The chain of each tenant is checked on the way, and the file appears under its name only when
    it is whole, archived events included. `quorate restore` makes a database from it, of either
    kind.
    """
    import asyncio

    from quorate.eventlog.archive.backup import NothingThere

    with database_failures():
        database.must_exist()
        try:
            with _sink(file) as sink, progress("Backing up") as advance:
                made = asyncio.run(_backed_up(database, sink, archive, advance))
        except NothingThere as nothing:
            raise Failure("There is nothing to back up: the log has no events") from nothing
        except OSError as error:
            raise Failure(f"{file} cannot be written: {error.strerror}") from error
    if as_json and file != STDOUT:
        print_json({"file": file, **facts(made)})
    else:
        click.echo(_report(file, made), err=file == STDOUT)


async def _backed_up(
    database: DatabaseTarget, sink: BinaryIO, archive: Path | None, advance: Progress
) -> "BackedUp":
    import time

    from quorate.domain.shared.timestamps import Timestamp
    from quorate.eventlog.archive.backup import LogTables, back_up
    from quorate.eventlog.sqlite.snapshot import SqliteSnapshot

    backend = SqliteSnapshot(database.path) if database.path else database.backend()
    try:
        await backend.open(LogTables())
        made_at = Timestamp(time.time_ns() // 1_000_000)
        return await back_up(backend, sink, made_at, advance, archive)
    finally:
        await backend.close()


@contextmanager
def _sink(file: str) -> Iterator[BinaryIO]:
    from quorate.runtime.atomic_file import whole_file

    if file == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with whole_file(Path(file)) as sink:
        yield sink


# -- Telling ---------------------------------------------------------------------


def facts(made: "BackedUp") -> dict[str, Any]:
    from quorate.domain.shared.timestamps import iso

    return {
        "madeAt": iso(made.header.made_at),
        "events": made.seal.events,
        "answers": made.seal.answers,
        "lastEventAt": iso(made.at),
        "head": {"position": made.header.until, "hash": made.header.hash.hex()},
        "sha256": made.seal.sha256,
    }


def sentence(made: "BackedUp") -> str:
    from quorate.domain.shared.timestamps import iso

    return (
        f"{made.seal.events} events, the last at {iso(made.at)}, "
        f"and {made.seal.answers} answers under idempotency keys"
    )


def head_to_keep(made: "BackedUp") -> str:
    return f"{made.header.until}:{made.header.hash.hex()}"


def _report(file: str, made: "BackedUp") -> str:
    where = "stdout" if file == STDOUT else file
    return (
        f"{where} holds {sentence(made)}; every chain is whole.\nHead to keep: {head_to_keep(made)}"
    )
