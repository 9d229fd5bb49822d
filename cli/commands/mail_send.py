"""`quorate mail send` and `reply`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from quorate.cli.connection.resolve import TargetSources
from quorate.cli.mailbox.messages import Mailbox, open_mailbox
from quorate.cli.options import agent_options, json_option, quiet_option, service_options
from quorate.cli.output.console import print_hint, print_json, print_line
from quorate.cli.output.errors import CONFLICT, EXIT_CODES, NOT_FOUND
from quorate.cli.output.mail_text import describe_reason
from quorate.cli.parameter_types import SEQUENCE_MAX, IntegerRange
from quorate.domain.mail.messages import Importance
from quorate.domain.mail.subjects import TaskKind

if TYPE_CHECKING:
    from quorate.contracts.mail.messages import MailMessage, RecipientInfo, SentInfo

Command = TypeVar("Command", bound=Callable[..., Any])
IMPORTANCES: tuple[Importance, ...] = ("low", "normal", "high", "urgent")
REPLY_KINDS: tuple[TaskKind, ...] = ("RESULT", "ERROR", "STATUS", "ACK", "CANCEL")
SEND_SECONDS_MAX = 30.0
RESULTS = """
Exit code 3: the send gate or a policy blocked a recipient. 5: an address names no agent. The other
recipients have the message.
"""

_CONTENT = (
    click.option("--body", help="The text of the message."),
    click.option(
        "--body-file",
        type=click.File("r", encoding="utf-8"),
        help="Read the text from this file; - is standard input, which is the default unless it "
        "is a terminal.",
    ),
    click.option(
        "--html-file", type=click.File("r", encoding="utf-8"), help="An HTML form of the text."
    ),
    click.option(
        "--importance",
        type=click.Choice(IMPORTANCES),
        default="normal",
        show_default=True,
        help="Shown to the recipients.",
    ),
    click.option(
        "--ack-required", is_flag=True, help="The recipients must acknowledge the message."
    ),
    click.option(
        "--lease-fence",
        type=IntegerRange(1, SEQUENCE_MAX),
        help="Fencing token of your lease on the person; the send gate blocks a stale one.",
    ),
    click.option(
        "--idempotency-key",
        allow_from_autoenv=False,
        help="Send once under this key: a second call prints the first result.",
    ),
)


def content_options(command: Command) -> Command:
    for decorate in reversed(_CONTENT):
        command = decorate(command)
    return command


@click.command(
    epilog="""
\b
Examples:
  quorate mail send --agent-name outreach-agent --to retention-agent \\
    --subject "TASK:review-7 Review the offer" --body "See the draft."
  echo "All is well." | quorate mail send --agent-name retention-agent \\
    --to outreach-agent --subject "STATUS:review-7"
  quorate mail send --agent-name outreach-agent --to kim@example.com \\
    --subject "Your order" --body "It has left." --idempotency-key order-7
"""
    + RESULTS
    + EXIT_CODES
)
@click.option(
    "--to", multiple=True, required=True, help="An address, or the name of an agent; repeatable."
)
@click.option("--cc", multiple=True, help="A further recipient; repeatable. At most 10 in all.")
@click.option(
    "--subject",
    default="",
    help="At most 256 characters. TASK:ID, RESULT:ID, ERROR:ID, STATUS:ID, ACK:ID and CANCEL:ID "
    "give the message a kind and a task.",
)
@click.option("--reply-to-message", "in_reply_to", help="Join the thread of this message.")
@content_options
@agent_options
@service_options
@json_option
@quiet_option
def send(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the options of the content.
) -> None:
    """Send a message to agents, or through the send gate to people outside.

    An agent has it at once. A person gets it by SMTP: it is blocked while another agent holds a
    lease on the address, and held while the service has no SMTP relay.
    """
    body = read_content(given)
    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        replied = given["in_reply_to"]
        body |= {
            "to": mailbox.addresses(given["to"]),
            "cc": mailbox.addresses(given["cc"]),
            "subject": given["subject"],
            "in_reply_to": None if replied is None else mailbox.message_id(replied),
        }
        sent = _send(mailbox, body, given["idempotency_key"])
    _print_sent(sent, as_json=as_json, quiet=quiet)


@click.command(
    epilog="""
\b
Examples:
  message=$(quorate mail send --agent-name outreach-agent \\
    --to retention-agent --subject "TASK:review-8" --body "Please." --quiet)
  quorate mail reply "$message" --agent-name retention-agent \\
    --kind RESULT --body "It is fine."
  quorate mail reply "$message" --agent-name retention-agent --body "Thanks."
"""
    + RESULTS
    + EXIT_CODES
)
@click.argument("message")
@click.option("--all", "to_all", is_flag=True, help="Also to the other recipients of MESSAGE.")
@click.option(
    "--kind",
    type=click.Choice(REPLY_KINDS, case_sensitive=False),
    help="The subject becomes KIND:ID, with the task and the title of MESSAGE.",
)
@click.option("--subject", help="Another subject. [default: that of MESSAGE, after Re:]")
@content_options
@agent_options
@service_options
@json_option
@quiet_option
def reply(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    message: str,
    to_all: bool,
    kind: TaskKind | None,
    subject: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the options of the content.
) -> None:
    """Answer MESSAGE in its thread; it goes to the sender of MESSAGE.

    The answer to a message of your own goes to its recipients again. MESSAGE stays unread: see
    `quorate mail read`.
    """
    from quorate.contracts.mail.messages import GET_MESSAGE

    if kind is not None and subject is not None:
        raise click.UsageError("--kind makes the subject: omit --subject.")
    body = read_content(given)
    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        message_id = mailbox.message_id(message)
        replied = mailbox.call(GET_MESSAGE, query={"mark_read": False}, message_id=message_id)
        to, cc = _recipients(mailbox, replied, to_all=to_all)
        body |= {
            "to": to,
            "cc": cc,
            "subject": _reply_subject(replied, kind) if subject is None else subject,
            "in_reply_to": message_id,
        }
        sent = _send(mailbox, body, given["idempotency_key"])
    _print_sent(sent, as_json=as_json, quiet=quiet)


def _recipients(
    mailbox: Mailbox, replied: "MailMessage", *, to_all: bool
) -> tuple[list[str], list[str]]:
    if replied.direction == "outbound":
        return replied.to_addresses, replied.cc_addresses if to_all else []
    if not to_all:
        return [replied.from_address], []
    others = [*replied.to_addresses, *replied.cc_addresses]
    known = {replied.from_address.lower(), *(one.lower() for one in mailbox.own_addresses())}
    return [replied.from_address], [one for one in others if one.lower() not in known]


def _reply_subject(replied: "MailMessage", kind: TaskKind | None) -> str:
    from quorate.client.mail import reply_subject

    try:
        return reply_subject(replied, kind)
    except ValueError as error:
        raise click.UsageError(f"--kind {kind}: {error}.") from None


# -- Content -----------------------------------------------------------------------


def read_content(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the request that the content options give."""
    html: IO[str] | None = given["html_file"]
    return {
        "body_text": _read_text(given["body"], given["body_file"]),
        "body_html": None if html is None else _read(html),
        "importance": given["importance"],
        "ack_required": given["ack_required"],
        "lease_fence": given["lease_fence"],
    }


def _read_text(body: str | None, file: IO[str] | None) -> str:
    if body is not None and file is not None:
        raise click.UsageError("--body and --body-file exclude each other.")
    if body is not None:
        return body
    if file is not None:
        return _read(file)
    if sys.stdin.isatty():
        raise click.UsageError("Give the text with --body, --body-file or on standard input.")
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise click.UsageError("Standard input is not UTF-8.") from None


def _read(file: IO[str]) -> str:
    try:
        return file.read()
    except UnicodeDecodeError:
        raise click.UsageError(f"{getattr(file, 'name', 'The text')} is not UTF-8.") from None


# -- Result ------------------------------------------------------------------------


def _send(mailbox: Mailbox, body: Mapping[str, Any], key: str | None) -> "SentInfo":
    from quorate.contracts.mail.messages import SEND_MAIL

    return mailbox.call(SEND_MAIL, body=body, idempotency_key=key, timeout_seconds=SEND_SECONDS_MAX)


def _print_sent(sent: "SentInfo", *, as_json: bool, quiet: bool) -> None:
    if quiet:
        print_line(sent.message_id)
    elif as_json:
        print_json(sent.raw)
    else:
        _print_recipients(sent.recipients)
        print_line(f"  message  {sent.message_id}")
        print_line(f"  thread   {sent.thread_id}")
    statuses = {one.status for one in sent.recipients}
    if statuses & {"blocked", "bounced"}:
        if quiet:
            for one in sent.recipients:
                print_hint(_describe(one))
        click.get_current_context().exit(CONFLICT if "blocked" in statuses else NOT_FOUND)


def _print_recipients(recipients: "Sequence[RecipientInfo]") -> None:
    for one in recipients:
        print_line(_describe(one))
        if one.reason == "lease_conflict":
            print_hint(f"  `quorate lease get {one.address}` shows who holds it, and until when.")


def _describe(recipient: "RecipientInfo") -> str:
    why = f": {describe_reason(recipient.reason)}" if recipient.reason else ""
    return f"{recipient.status.capitalize()}: {recipient.address}{why}."
