"""`quorate replay`: reconstruct the state of a tenant from an exported log, offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from quorate.cli.audit.archived_events import archive_option, prepend_archive
from quorate.cli.options import json_option
from quorate.cli.output.console import display_name, print_json, progress
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.cli.audit.history import Until

EPILOG = """
\b
Examples:
  quorate events export log.jsonl
  quorate replay log.jsonl
  quorate replay log.jsonl --until 2
  quorate replay log.jsonl --until 2030-01-01T00:00:00Z --json
"""


def _parse_until(_ctx: click.Context, _param: click.Parameter, value: str | None) -> "Until":
    from quorate.cli.audit.history import Until, parse_until

    try:
        return parse_until(value) if value is not None else Until()
    except ValueError:
        message = "use a sequence number (1234) or a time with offset (2026-03-01T12:00:00Z)."
        raise click.BadParameter(message) from None


@click.command(epilog=EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--until",
    metavar="SEQUENCE|TIME",
    callback=_parse_until,
    help="Stop after this event or at this time. [default: the end of FILE]",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Whether to verify the hash chain while reading.",
)
@archive_option
@json_option
def replay(
    file: BinaryIO, until: "Until", verify: bool, archive: Path | None, as_json: bool
) -> None:
    """Reconstruct state from an exported log: agents, leases, votes, and the threads of mail.

    Of each message it prints what became of it for each recipient; bodies are not in the log.
    Reads only FILE, and with --archive the archived events before it; needs no service and no
    database. Leases and agents are evaluated at the time of --until, or of the last event.
    """
    from quorate.cli.audit.history import replay_events
    from quorate.cli.output.tenant_snapshot import print_tables, take_snapshot
    from quorate.eventlog.archive.export_format import FileCorrupted, MissingPrefix
    from quorate.eventlog.archive.files import ArchiveCorrupted

    file = prepend_archive(file, archive)
    try:
        with progress("Replaying") as advance:
            history = replay_events(_events(file, verify), until, lambda done: advance(done, None))
    except FileCorrupted as damage:
        raise Failure(f"{display_name(file)} is corrupted at {damage}") from damage
    except MissingPrefix as missing:
        begins = f"{display_name(file)} starts at event {missing.sequence}"
        raise Failure(
            f"{begins}, but a replay needs all events from event 1: "
            "give the directory of the archived events with --archive"
        ) from missing
    except ArchiveCorrupted as damage:
        raise Failure(str(damage)) from damage
    found = take_snapshot(history)
    if as_json:
        print_json(found)
    else:
        print_tables(found)


def _events(file: BinaryIO, verify: bool) -> Iterator[dict[str, Any]]:
    from quorate.eventlog.archive.export_format import read_unverified, read_verified

    return (link.event for link in read_verified(file)) if verify else read_unverified(file)
