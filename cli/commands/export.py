"""`quorate events export`: write the log of a tenant to a file that can be verified offline.

Guarantees:

* The hash chain is verified while the events are written.
* The file gets its name only when it is complete and verified.
* With bodies, each is compared with the hash in its event before it is written.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import json_option, service_options
from quorate.cli.output.console import Progress, print_json, progress
from quorate.cli.output.errors import Failure, report_errors
from quorate.cli.parameter_types import SEQUENCE_MAX, IntegerRange

if TYPE_CHECKING:
    from quorate.cli.audit.exported_bodies import ExportedBodies
    from quorate.client.transports.sync_http import Client
    from quorate.contracts.event_log import EventsInfo
    from quorate.eventlog.recorded_event import StreamHead

STDOUT = "-"
PAGE_LENGTH = 1_000
PAGE_TIMEOUT_SECONDS = 15.0  # With all retries; a page takes longer than other requests.
EPILOG = """
\b
Examples:
  quorate events export log.jsonl
  quorate events export log.jsonl --continue
  quorate events export - --after 2
  quorate events export log.jsonl --with-bodies
"""


@click.command(epilog=EPILOG)
@click.argument("file")
@click.option(
    "--after",
    type=IntegerRange(0, SEQUENCE_MAX),
    default=0,
    help="Begin after this sequence number. [default: from the first event]",
)
@click.option(
    "--continue", "append", is_flag=True, help="Append the events after the last event in FILE."
)
@click.option(
    "--with-bodies",
    is_flag=True,
    help="Also write the message bodies to which events refer, except erased ones. "
    "Those of archived events are included.",
)
@archive_option
@service_options
@json_option
def export(
    sources: TargetSources,
    file: str,
    after: int,
    *,
    append: bool,
    with_bodies: bool,
    archive: Path | None,
    as_json: bool,
) -> None:
    """Write the event log of the tenant to FILE as JSON lines ("-" is stdout), and verify it.

    Store the printed head hash: with it, `quorate verify` detects a truncated or rewritten log.
    """
    if append and (after or file == STDOUT):
        raise click.UsageError("--continue needs a FILE, and cannot be combined with --after.")
    from quorate.cli.audit.exported_bodies import ExportedBodies
    from quorate.client.transports.sync_http import Client
    from quorate.eventlog.archive.files import ArchiveCorrupted
    from quorate.eventlog.hash_chain import ChainBroken

    service = resolve_target(sources)
    try:
        with (
            report_errors(as_json=as_json),
            Client(service.url, service.api_key) as client,
            progress("Exporting") as advance,
        ):
            bodies = ExportedBodies(client) if with_bodies else None
            start = _head_of_file(Path(file)) if append else _head_before(client, after)
            with _stdout() if file == STDOUT else _atomic_file(Path(file), keep=append) as sink:
                head = _copy(client, start, sink, archive, advance, bodies=bodies)
    except ChainBroken as broken:
        raise Failure(f"The hash chain of the service is corrupted: {broken}") from broken
    except ArchiveCorrupted as damage:
        raise Failure(str(damage)) from damage
    except OSError as error:
        raise Failure(f"Cannot write {file}: {error.strerror}") from error
    if as_json and file != STDOUT:
        print_json(_as_json(file, start, head, bodies))
    else:
        click.echo(_report(file, start, head, bodies, appended=append), err=file == STDOUT)


def _head_before(client: "Client", sequence: int) -> "StreamHead":
    """Ask the service for the head hash before the first exported event."""
    from quorate.eventlog.hash_chain import GENESIS
    from quorate.eventlog.recorded_event import StreamHead

    if sequence == GENESIS.sequence:
        return GENESIS
    found = _fetch_page(client, sequence - 1, 1)
    if found.gap is not None:
        raise Failure(
            f"Event {sequence} was archived: omit --after and give --archive, "
            f"or begin after event {found.gap.until + 1}"
        )
    if not found.events:
        raise Failure(f"Event {sequence} not found: the log ends with event {found.head}")
    return StreamHead(sequence=sequence, hash=bytes.fromhex(found.events[0].hash))


def _head_of_file(path: Path) -> "StreamHead":
    """Verify an earlier export and return its head; raises Failure if it is invalid."""
    from quorate.eventlog.archive.export_format import FileCorrupted, MissingPrefix, verify

    try:
        with path.open("rb") as file:
            verified = verify(file)
    except FileNotFoundError:
        raise Failure(f"{path} does not exist: first export without --continue") from None
    except (MissingPrefix, FileCorrupted) as damage:
        raise Failure(f"Cannot continue {path}: {damage}") from damage
    if verified is None:
        raise Failure(f"{path} is empty: export without --continue")
    return verified.head


def _fetch_page(client: "Client", after: int, limit: int = PAGE_LENGTH) -> "EventsInfo":
    from quorate.client import requests

    request = requests.list_events(after=after, limit=limit)
    return client.execute(request, timeout_seconds=PAGE_TIMEOUT_SECONDS)


def _iterate_pages(client: "Client", after: int) -> "Iterator[EventsInfo]":
    """Yield the pages after ``after`` until the head of the log, which may move meanwhile."""
    from quorate.client.event_reader import stalled_log

    while True:
        page = _fetch_page(client, after)
        yield page
        if page.next >= page.head:
            return
        if page.next <= after:
            raise stalled_log(after)
        after = page.next


def _copy(
    client: "Client",
    start: "StreamHead",
    sink: BinaryIO,
    archive: Path | None,
    advance: Progress,
    *,
    bodies: "ExportedBodies | None",
) -> "StreamHead":
    from quorate.eventlog.archive.export_format import encode_line
    from quorate.eventlog.hash_chain import verify_exported_event

    head = start
    for page in _iterate_pages(client, start.sequence):
        if page.gap is not None:
            head = _copy_archived(client, archive, head, page.gap.until, sink, bodies=bodies)
        for event in page.events:
            json = dict(event.raw)
            head = verify_exported_event(json, head)
            sink.write(encode_line(json))
            if bodies is not None:
                bodies.write_after(json, sink, page.next)
        advance(head.sequence - start.sequence, page.head - start.sequence)
    return head


def _copy_archived(
    client: "Client",
    archive: Path | None,
    head: "StreamHead",
    until: int,
    sink: BinaryIO,
    *,
    bodies: "ExportedBodies | None",
) -> "StreamHead":
    """Copy events that the service has archived, from the archive files.

    Their bodies are still in the database of the service.
    """
    from quorate.cli.audit.exported_bodies import IDS_PER_REQUEST
    from quorate.eventlog.archive.export_format import encode_line
    from quorate.eventlog.archive.files import ArchiveFolder
    from quorate.eventlog.hash_chain import public_event, verify_chain

    if archive is None:
        raise Failure(
            f"Events up to {until} were archived: give the directory of the files with --archive, "
            f"or begin after event {until + 1} with --after"
        )
    tenant = client.keys.own().tenant_id
    start = head.sequence
    ours = (
        event
        for event in ArchiveFolder(archive).events()
        if event.tenant == tenant and start < event.sequence <= until
    )
    while some := list(islice(ours, IDS_PER_REQUEST)):
        head = verify_chain(some, head)
        public = [public_event(event) for event in some]
        if bodies is not None:
            bodies.read_archived(public)
        for one in public:
            sink.write(encode_line(one))
            if bodies is not None:
                bodies.write_after(one, sink)
    if head.sequence < until:
        raise Failure(f"{archive} ends with event {head.sequence} of {tenant}, before {until}")
    return head


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _atomic_file(path: Path, *, keep: bool) -> Iterator[BinaryIO]:
    """Open a file that gets its name only when complete; ``keep`` copies the old content first."""
    import shutil

    from quorate.runtime.atomic_file import write_atomically

    with write_atomically(path) as file:
        if keep:
            with path.open("rb") as old:
                shutil.copyfileobj(old, file)
        yield file


def _as_json(
    file: str, start: "StreamHead", head: "StreamHead", bodies: "ExportedBodies | None"
) -> dict[str, Any]:
    check = None if bodies is None else bodies.check
    return {
        "file": file,
        "events": head.sequence - start.sequence,
        "previous": {"sequence": start.sequence, "hash": start.hash.hex()},
        "head": {"sequence": head.sequence, "hash": head.hash.hex()},
        **(
            {}
            if check is None
            else {
                "bodies": {
                    "written": check.verified,
                    "erased": check.erased,
                    "missing": check.missing,
                }
            }
        ),
    }


def _report(
    file: str,
    start: "StreamHead",
    head: "StreamHead",
    bodies: "ExportedBodies | None",
    *,
    appended: bool,
) -> str:
    head_hash = f"{head.sequence}:{head.hash.hex()}"
    target = "stdout" if file == STDOUT else file
    needs_previous = start.sequence and not appended
    previous = f" --previous {start.hash.hex()}" if needs_previous else ""
    command = f"  quorate verify {target} --head {head_hash}{previous}"
    if sys.stderr.isatty() or sys.stdout.isatty():  # A line break in a hash cannot be copied.
        command = command.replace(" --", " \\\n    --")
    return (
        f"{head.sequence - start.sequence} events written to {target}, hash chain verified.\n"
        f"{_describe_bodies(bodies)}"
        f"Verify the file offline:\n{command}"
    )


def _describe_bodies(bodies: "ExportedBodies | None") -> str:
    if bodies is None:
        return ""
    check = bodies.check
    missing = f", {check.missing} are missing" if check.missing else ""
    return f"{check.verified} message bodies written; {check.erased} were erased{missing}.\n"
