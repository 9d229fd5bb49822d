"""`quorate mail`: acknowledge, star and delete messages of one mailbox."""

import click

from quorate.cli.connection.resolve import TargetSources
from quorate.cli.mailbox.messages import open_mailbox
from quorate.cli.options import agent_options, json_option, quiet_option, service_options
from quorate.cli.output.console import format_time, print_json, print_line
from quorate.cli.output.errors import EXIT_CODES

SENT_BEFORE = """\
  message=$(quorate mail send --agent-name outreach-agent \\
    --to retention-agent --subject "Read this" --body "Now." \\
    --ack-required --quiet)
"""


@click.command(
    epilog="\n\b\nExamples:\n"
    + SENT_BEFORE
    + """\
  quorate mail ack "$message" --agent-name retention-agent
"""
    + EXIT_CODES
)
@click.argument("message")
@agent_options
@service_options
@json_option
@quiet_option
def ack(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    message: str,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Acknowledge MESSAGE: it is marked as read, and its sender is notified."""
    from quorate.contracts.mail.mailbox import ACKNOWLEDGE

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        marks = mailbox.call(ACKNOWLEDGE, message_id=mailbox.message_id(message))
    if quiet:
        print_line(marks.message_id)
    elif as_json:
        print_json(marks.raw)
    elif marks.acked_at is None:
        print_line("Nothing to acknowledge: the agent sent this message itself.")
    else:
        print_line(f"Acknowledged {marks.message_id} at {format_time(marks.acked_at)}.")


@click.command(
    epilog="\n\b\nExamples:\n"
    + SENT_BEFORE
    + """\
  quorate mail star "$message" --agent-name retention-agent
  quorate mail star "$message" --agent-name retention-agent --remove
"""
    + EXIT_CODES
)
@click.argument("message")
@click.option("--remove", is_flag=True, help="Remove the star.")
@agent_options
@service_options
@json_option
@quiet_option
def star(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    message: str,
    remove: bool,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Give MESSAGE a star in the mailbox of the agent; other mailboxes do not see it."""
    from quorate.contracts.mail.mailbox import STAR

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        message_id = mailbox.message_id(message)
        found = mailbox.call(STAR, body={"starred": not remove}, message_id=message_id)
    if quiet:
        print_line(message_id)
    elif as_json:
        print_json(found.raw)
    else:
        done = "Starred" if found.starred else "Removed the star of"
        print_line(f"{done} {message_id}.")


@click.command(
    epilog="\n\b\nExamples:\n"
    + SENT_BEFORE
    + """\
  quorate mail delete "$message" --agent-name retention-agent
"""
    + EXIT_CODES
)
@click.argument("message")
@agent_options
@service_options
@json_option
@quiet_option
def delete(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    message: str,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Delete MESSAGE from the mailbox of the agent; other mailboxes keep it.

    To erase the body for everybody, use `quorate mail erase`.
    """
    from quorate.contracts.mail.mailbox import DELETE_MESSAGE

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        message_id = mailbox.message_id(message)
        found = mailbox.call(DELETE_MESSAGE, message_id=message_id)
    if quiet:
        print_line(message_id)
    elif as_json:
        print_json(found.raw)
    else:
        print_line(f"Deleted {message_id}.")
