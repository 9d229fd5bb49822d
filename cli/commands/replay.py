"""`quorate replay`: what an exported log says, without the service that wrote it.

Who held what, who was active and how each vote stood, at the last event or at any moment before.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from quorate.cli.audit.archived_events import archive_option, continued
from quorate.cli.options import json_option
from quorate.cli.output.console import name_of, print_json, progress
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


def _until(_ctx: click.Context, _param: click.Parameter, value: str | None) -> "Until":
    from quorate.cli.audit.history import Until, until

    try:
        return until(value) if value is not None else Until()
    except ValueError:
        why = "it is a sequence, as in 1234, or a time with its offset, as in 2026-03-01T12:00:00Z."
        raise click.BadParameter(why) from None


@click.command(epilog=EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--until", metavar="SEQUENCE|TIME", callback=_until, help="Stop there, and judge by then."
)
@click.option(
    "--verify/--no-verify", default=True, help="Check the chain on the way (the default)."
)
@archive_option
@json_option
def replay(
    file: BinaryIO, until: "Until", verify: bool, archive: Path | None, as_json: bool
) -> None:
    """Tell from an exported log who held what, who was active, and how each vote stood.

    The file is all that is asked, and with --archive the events before it: no service, no
    database. Leases and activity are judged at the
    time of --until, or of the last event.
    """
    from quorate.cli.audit.history import fold
    from quorate.cli.output.tenant_snapshot import print_tables, standing
    from quorate.eventlog.archive.export_format import BeginsLate, Damaged
    from quorate.eventlog.archive.files import ArchiveDamaged

    file = continued(file, archive)
    try:
        with progress("Replaying") as advance:
            history = fold(_events(file, verify), until, lambda done: advance(done, None))
    except Damaged as damage:
        raise Failure(f"{name_of(file)} is damaged at {damage}") from damage
    except BeginsLate as late:
        begins = f"{name_of(file)} begins with event {late.sequence}"
        raise Failure(
            f"{begins}, and a replay needs all events from the first: "
            "name the folder of those before it with --archive"
        ) from late
    except ArchiveDamaged as damage:
        raise Failure(str(damage)) from damage
    found = standing(history)
    if as_json:
        print_json(found)
    else:
        print_tables(found)


def _events(file: BinaryIO, verify: bool) -> Iterator[dict[str, Any]]:
    from quorate.eventlog.archive.export_format import links, unchecked

    return (link.event for link in links(file)) if verify else unchecked(file)
