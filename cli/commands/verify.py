"""`quorate verify`: an exported log checked offline, with nothing but the file."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from quorate.cli.audit.archived_events import archive_option, continued
from quorate.cli.options import json_option
from quorate.cli.output.console import name_of, print_json, progress
from quorate.cli.output.errors import ERROR, Failure

if TYPE_CHECKING:
    from quorate.eventlog.archive.export_format import Kept, Verified

EPILOG = """
\b
Examples:
  quorate events export log.jsonl
  quorate verify log.jsonl
  quorate verify log.jsonl --json
"""
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_KEPT = re.compile(r"(?:([0-9]{1,18}):)?([0-9a-fA-F]{64})")


def _previous(_ctx: click.Context, _param: click.Parameter, value: str | None) -> bytes | None:
    if value is not None and not _HASH.fullmatch(value):
        raise click.BadParameter("a hash has 64 hexadecimal digits.")
    return bytes.fromhex(value) if value is not None else None


def _kept(_ctx: click.Context, _param: click.Parameter, value: str | None) -> "Kept | None":
    from quorate.eventlog.archive.export_format import Kept

    if value is None:
        return None
    if not (found := _KEPT.fullmatch(value)):
        raise click.BadParameter("it is a hash of 64 hexadecimal digits, or SEQUENCE:HASH.")
    sequence, digits = found.groups()
    return Kept(hash=digits.lower(), sequence=int(sequence) if sequence else None)


@click.command(epilog=EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--head",
    "kept",
    metavar="[SEQUENCE:]HASH",
    callback=_kept,
    help="A head you kept: the file must reach it, unchanged.",
)
@click.option(
    "--previous",
    metavar="HASH",
    callback=_previous,
    help="The hash before the first event of FILE, if that is not event 1.",
)
@archive_option
@json_option
def verify(
    file: BinaryIO,
    kept: "Kept | None",
    previous: bytes | None,
    archive: Path | None,
    as_json: bool,
) -> None:
    """Check that an exported log is whole: nothing changed, missing, added or moved.

    Nothing but FILE is needed, or with --archive the events before it. Its end proves itself only
    against a head that you kept elsewhere: give it with --head.
    """
    from quorate.eventlog.archive import export_format
    from quorate.eventlog.archive.files import ArchiveDamaged

    if archive is not None and previous is not None:
        raise click.UsageError("--previous is for a FILE without its archive.")
    file = continued(file, archive)
    try:
        with progress("Verifying") as advance:
            verified = export_format.verify(
                file, previous=previous, kept=kept, progress=lambda done: advance(done, None)
            )
    except export_format.Damaged as damage:
        if not as_json:
            raise Failure(f"{name_of(file)} is damaged at {damage}") from damage
        print_json(
            {"ok": False, "line": damage.line, "sequence": damage.sequence, "why": damage.why}
        )
        sys.exit(ERROR)
    except export_format.BeginsLate as late:
        raise Failure(
            f"{name_of(file)} begins with event {late.sequence}, not with event 1: "
            f"give the hash of event {late.sequence - 1} with --previous, "
            "or the events before it with --archive"
        ) from late
    except ArchiveDamaged as damage:
        raise Failure(str(damage)) from damage
    if verified is None:
        raise Failure(f"{name_of(file)} holds no events")
    if as_json:
        print_json(_as_json(verified))
    else:
        click.echo(_as_text(name_of(file), verified))


def _as_json(verified: "Verified") -> dict[str, Any]:
    return {
        "ok": True,
        "tenantId": verified.tenant,
        "events": verified.events,
        "first": verified.first,
        "head": {"sequence": verified.head.sequence, "hash": verified.head.hash.hex()},
        "at": verified.at,
    }


def _as_text(name: str, verified: "Verified") -> str:
    of_tenant = f" of tenant {verified.tenant}" if verified.tenant else ""
    return (
        f"{name} is whole: {verified.events} events{of_tenant}, "
        f"{verified.first} to {verified.head.sequence}, the last at {verified.at}.\n"
        f"Head to keep: {verified.head.sequence}:{verified.head.hash.hex()}"
    )
