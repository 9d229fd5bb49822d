"""`quorate verify`: verify an exported log offline."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from quorate.cli.audit.archived_events import archive_option, prepend_archive
from quorate.cli.options import json_option
from quorate.cli.output.console import display_name, print_json, progress
from quorate.cli.output.errors import ERROR, Failure

if TYPE_CHECKING:
    from quorate.eventlog.archive.export_format import Checkpoint, VerificationResult

EPILOG = """
\b
Examples:
  quorate events export log.jsonl
  quorate verify log.jsonl
  quorate verify log.jsonl --json
"""
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_KEPT = re.compile(r"(?:([0-9]{1,18}):)?([0-9a-fA-F]{64})")


def _parse_previous(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> bytes | None:
    if value is not None and not _HASH.fullmatch(value):
        raise click.BadParameter("must be a hash of 64 hexadecimal digits.")
    return bytes.fromhex(value) if value is not None else None


def _parse_head(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> "Checkpoint | None":
    from quorate.eventlog.archive.export_format import Checkpoint

    if value is None:
        return None
    if not (found := _KEPT.fullmatch(value)):
        raise click.BadParameter("must be a hash of 64 hexadecimal digits, or SEQUENCE:HASH.")
    sequence, digits = found.groups()
    return Checkpoint(hash=digits.lower(), sequence=int(sequence) if sequence else None)


@click.command(epilog=EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--head",
    "expected_head",
    metavar="[SEQUENCE:]HASH",
    callback=_parse_head,
    help="Head hash that you stored earlier: FILE must contain it unchanged.",
)
@click.option(
    "--previous",
    metavar="HASH",
    callback=_parse_previous,
    help="Hash of the event before the first event of FILE, if FILE does not start at event 1.",
)
@archive_option
@json_option
def verify(
    file: BinaryIO,
    expected_head: "Checkpoint | None",
    previous: bytes | None,
    archive: Path | None,
    as_json: bool,
) -> None:
    """Verify the hash chain of an exported log: no event changed, missing, added or moved.

    Reads only FILE, and with --archive the archived events before it. The hash chain alone does
    not detect a truncated or rewritten file: compare it with a stored head hash (--head). Message
    bodies (`quorate events export --with-bodies`) must match the hashes in their events.
    """
    from quorate.eventlog.archive import export_format
    from quorate.eventlog.archive.files import ArchiveCorrupted

    if archive is not None and previous is not None:
        raise click.UsageError("--previous cannot be combined with --archive.")
    file = prepend_archive(file, archive)
    try:
        with progress("Verifying") as advance:
            verified = export_format.verify(
                file,
                previous=previous,
                checkpoint=expected_head,
                progress=lambda done: advance(done, None),
            )
    except export_format.FileCorrupted as damage:
        if not as_json:
            raise Failure(f"{display_name(file)} is corrupted at {damage}") from damage
        print_json(
            {"ok": False, "line": damage.line, "sequence": damage.sequence, "why": damage.reason}
        )
        sys.exit(ERROR)
    except export_format.MissingPrefix as missing:
        raise Failure(
            f"{display_name(file)} starts at event {missing.sequence}, not at event 1: "
            f"give the hash of event {missing.sequence - 1} with --previous, "
            "or the directory of the archived events with --archive"
        ) from missing
    except ArchiveCorrupted as damage:
        raise Failure(str(damage)) from damage
    if verified is None:
        raise Failure(f"{display_name(file)} contains no events")
    if as_json:
        print_json(_as_json(verified))
    else:
        click.echo(_format(display_name(file), verified))


def _as_json(verified: "VerificationResult") -> dict[str, Any]:
    contents = {
        "verified": verified.contents,
        "erased": verified.erased,
        "missing": verified.missing,
    }
    return {
        "ok": True,
        "tenantId": verified.tenant,
        "events": verified.events,
        "first": verified.first,
        "head": {"sequence": verified.head.sequence, "hash": verified.head.hash.hex()},
        "at": verified.at,
        **({"contents": contents} if any(contents.values()) else {}),
    }


def _format(name: str, verified: "VerificationResult") -> str:
    of_tenant = f" of tenant {verified.tenant}" if verified.tenant else ""
    contents = (
        f"{verified.contents} message bodies are valid; {verified.erased} were erased, "
        f"{verified.missing} were not exported.\n"
        if verified.contents or verified.erased or verified.missing
        else ""
    )
    return (
        f"{name} is valid: {verified.events} events{of_tenant}, "
        f"{verified.first} to {verified.head.sequence}, the last at {verified.at}.\n"
        f"{contents}"
        f"Head hash to store: {verified.head.sequence}:{verified.head.hash.hex()}"
    )
