"""`quorate events export`: a tenant's log as a file that proves itself.

The chain is checked while the file is written, and the file appears under its name only when it
is whole: what stands there was verified.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.connection.resolve import TargetSources, called_service
from quorate.cli.options import json_option, service_options
from quorate.cli.output.console import Progress, print_json, progress
from quorate.cli.output.errors import Failure, calls

if TYPE_CHECKING:
    from quorate.client.audit import Http
    from quorate.eventlog.recorded_event import StreamHead

STDOUT = "-"
EPILOG = """
\b
Examples:
  quorate events export log.jsonl
  quorate events export log.jsonl --continue
  quorate events export - --after 2
"""


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin after this sequence.")
@click.option("--continue", "append", is_flag=True, help="Add to FILE what has happened since.")
@archive_option
@service_options
@json_option
def export(
    where: TargetSources,
    file: str,
    after: int,
    *,
    append: bool,
    archive: Path | None,
    as_json: bool,
) -> None:
    """Write the tenant's log to FILE as JSON lines ("-" is stdout), checking its chain.

    Keep the head that is printed: with it, `quorate verify` tells a log that was cut off or
    rewritten from the true one.
    """
    if append and (after or file == STDOUT):
        raise click.UsageError("--continue needs a FILE and goes on where it ends.")
    from quorate.client.audit import Http
    from quorate.eventlog.archive.files import ArchiveDamaged
    from quorate.eventlog.hash_chain import ChainBroken

    service = called_service(where)
    try:
        with (
            calls(as_json=as_json),
            Http(service.url, service.api_key) as http,
            progress("Exporting") as advance,
        ):
            start = _end_of(Path(file)) if append else _head_at(http, after)
            with _stdout() if file == STDOUT else _whole(Path(file), keep=append) as sink:
                head = _copy(http, start, sink, archive, advance)
    except ChainBroken as broken:
        raise Failure(f"The service's log does not hold together: {broken}") from broken
    except ArchiveDamaged as damage:
        raise Failure(str(damage)) from damage
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}") from error
    if as_json and file != STDOUT:
        print_json(_as_json(file, start, head))
    else:
        click.echo(_report(file, start, head, appended=append), err=file == STDOUT)


def _head_at(http: "Http", sequence: int) -> "StreamHead":
    """The head that the first exported event follows, as the service tells it."""
    from quorate.client.events import page
    from quorate.eventlog.hash_chain import GENESIS
    from quorate.eventlog.recorded_event import StreamHead

    if sequence == GENESIS.sequence:
        return GENESIS
    found = page(http, sequence - 1, 1)
    if found.archived_until is not None:
        raise Failure(
            f"Event {sequence} was archived: leave --after out and give --archive, "
            f"or begin after event {found.archived_until + 1}"
        )
    if not found.events:
        raise Failure(f"There is no event {sequence}: the log ends with event {found.head}")
    return StreamHead(sequence=sequence, hash=bytes.fromhex(found.events[0]["hash"]))


def _end_of(path: Path) -> "StreamHead":
    """The head of an earlier export, which must be whole to be added to."""
    from quorate.eventlog.archive.export_format import BeginsLate, Damaged, verify

    try:
        with path.open("rb") as file:
            verified = verify(file)
    except FileNotFoundError:
        raise Failure(f"{path} does not exist: export it without --continue first") from None
    except (BeginsLate, Damaged) as damage:
        raise Failure(f"{path} cannot be continued: {damage}") from damage
    if verified is None:
        raise Failure(f"{path} is empty: export it without --continue")
    return verified.head


def _copy(
    http: "Http", start: "StreamHead", sink: BinaryIO, archive: Path | None, advance: Progress
) -> "StreamHead":
    from quorate.client.events import pages
    from quorate.eventlog.archive.export_format import line
    from quorate.eventlog.hash_chain import check_public

    head = start
    for page in pages(http, start.sequence):
        if page.archived_until is not None:
            head = _copy_archived(http, archive, head, page.archived_until, sink)
        for event in page.events:
            head = check_public(event, head)
            sink.write(line(event))
        advance(head.sequence - start.sequence, page.head - start.sequence)
    return head


def _copy_archived(
    http: "Http", archive: Path | None, head: "StreamHead", until: int, sink: BinaryIO
) -> "StreamHead":
    """What the service does not have any more, from the operator's files."""
    from quorate.eventlog.archive.export_format import line
    from quorate.eventlog.archive.files import ArchiveFolder
    from quorate.eventlog.hash_chain import check, public_event

    if archive is None:
        raise Failure(
            f"Events up to {until} were archived: name the folder of their files with --archive, "
            f"or begin after event {until + 1} with --after"
        )
    tenant = http.get("/v1/keys/self", {})["tenantId"]
    for event in ArchiveFolder(archive).events():
        if event.tenant == tenant and head.sequence < event.sequence <= until:
            head = check([event], head)
            sink.write(line(public_event(event)))
    if head.sequence < until:
        raise Failure(f"{archive} ends with event {head.sequence} of {tenant}, before {until}")
    return head


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _whole(path: Path, *, keep: bool) -> Iterator[BinaryIO]:
    """A file that gets its name when all is written, or never; ``keep`` begins with the old one."""
    import shutil

    from quorate.runtime.atomic_file import whole_file

    with whole_file(path) as file:
        if keep:
            with path.open("rb") as old:
                shutil.copyfileobj(old, file)
        yield file


def _as_json(file: str, start: "StreamHead", head: "StreamHead") -> dict[str, Any]:
    return {
        "file": file,
        "events": head.sequence - start.sequence,
        "previous": {"sequence": start.sequence, "hash": start.hash.hex()},
        "head": {"sequence": head.sequence, "hash": head.hash.hex()},
    }


def _report(file: str, start: "StreamHead", head: "StreamHead", *, appended: bool) -> str:
    kept = f"{head.sequence}:{head.hash.hex()}"
    where = "stdout" if file == STDOUT else file
    begins_late = start.sequence and not appended
    previous = f" --previous {start.hash.hex()}" if begins_late else ""
    return (
        f"{head.sequence - start.sequence} events written to {where}, their chain is whole.\n"
        f"Check the file at any time, anywhere:\n"
        f"  quorate verify {where} --head {kept}{previous}"
    )
