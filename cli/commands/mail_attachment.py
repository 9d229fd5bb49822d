"""`quorate mail attachment`: download an attachment of a message."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.connection.resolve import TargetSources
from quorate.cli.mailbox.messages import open_mailbox
from quorate.cli.options import agent_options, as_of_option, service_options
from quorate.cli.output.console import print_line
from quorate.cli.output.errors import EXIT_CODES, Failure
from quorate.cli.parameter_types import IntegerRange

if TYPE_CHECKING:
    from quorate.contracts.downloads import Download

NUMBER_MAX = 999
DOWNLOAD_SECONDS_MAX = 120.0  # With all retries.
STDOUT = "-"


@click.command(
    epilog="""
\b
Examples:
  quorate mail attachment 5c1d0a7e 1 -o offer.pdf --agent-name retention-agent
  quorate mail attachment 5c1d0a7e 2 -o - --agent-name retention-agent | wc -c

`quorate mail read` lists the attachments with their numbers. The content of a file is untrusted.
"""
    + EXIT_CODES
)
@click.argument("message")
@click.argument("number", type=IntegerRange(1, NUMBER_MAX))
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE",
    required=True,
    allow_from_autoenv=False,
    help='Where to write it ("-" is stdout). The name in the message is not used.',
)
@agent_options
@service_options
@as_of_option
def attachment(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    message: str,
    number: int,
    file: str,
    agent_id: str | None,
    agent_name: str | None,
) -> None:
    """Download attachment NUMBER of MESSAGE to a file; an existing file is replaced."""
    from quorate.contracts.mail.messages import GET_ATTACHMENT

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        found = mailbox.call(
            GET_ATTACHMENT,
            message_id=mailbox.message_id(message),
            number=str(number),
            timeout_seconds=DOWNLOAD_SECONDS_MAX,
        )
    if file == STDOUT:
        sys.stdout.buffer.write(found.data)
        return
    _write(file, found)
    print_line(f"{len(found.data)} bytes ({found.content_type}) written to {file}.")


def _write(file: str, found: "Download") -> None:
    from quorate.runtime.atomic_file import write_atomically

    try:
        with write_atomically(Path(file)) as opened:
            opened.write(found.data)
    except OSError as error:
        raise Failure(f"Cannot write {file}: {error.strerror}") from error
