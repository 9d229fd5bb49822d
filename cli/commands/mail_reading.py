"""`quorate mail`: inbox, sent messages, single messages, threads and search."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.connection.api import CALL_TIMEOUT_SECONDS
from quorate.cli.connection.resolve import TargetSources
from quorate.cli.mailbox.display import (
    print_message,
    print_messages,
    print_more,
    print_thread,
)
from quorate.cli.mailbox.messages import Mailbox, open_mailbox
from quorate.cli.options import (
    agent_options,
    as_of_option,
    json_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import print_json, print_line
from quorate.cli.output.errors import EXIT_CODES
from quorate.cli.parameter_types import Duration, IntegerRange
from quorate.domain.mail.subjects import KINDS

if TYPE_CHECKING:
    from quorate.contracts.mail.messages import InboxPage

LIST_LENGTH_DEFAULT, LIST_LENGTH_MAX = 20, 100
POLL_SECONDS = 25.0
WAIT_SECONDS_MAX = 86_400.0

list_length_option = click.option(
    "--limit",
    type=IntegerRange(1, LIST_LENGTH_MAX),
    default=LIST_LENGTH_DEFAULT,
    show_default=True,
    help="Maximum number of messages to list.",
)
cursor_option = click.option(
    "--cursor", allow_from_autoenv=False, help="The cursor of a page: list what follows it."
)
kind_option = click.option(
    "--kind",
    type=click.Choice(KINDS, case_sensitive=False),
    help="Only messages of this kind, by their subject.",
)
sender_option = click.option(
    "--from", "sender", help="Only messages of this address, or of this agent by its name."
)


@click.command(
    epilog="""
\b
Examples:
  quorate mail inbox --agent-name retention-agent
  quorate mail inbox --agent-name retention-agent --unread \\
    --from outreach-agent --kind TASK
  quorate mail inbox --agent-name retention-agent --since 0 --limit 5 --json
  quorate mail inbox --agent-name retention-agent --since 0 --wait 1s

Nothing is marked as read. To handle each message once, pass the `cursor` of the JSON as --since.
"""
    + EXIT_CODES
)
@click.option("--unread", is_flag=True, help="Only unread messages.")
@sender_option
@kind_option
@click.option("--task", help="Only messages about this task, by their subject.")
@click.option("--thread", help="Only messages of this thread.")
@click.option(
    "--since",
    allow_from_autoenv=False,
    help="A cursor: only later messages, the oldest first. 0 begins with the first message.",
)
@cursor_option
@click.option(
    "--wait",
    type=Duration("s", 0, WAIT_SECONDS_MAX),
    help="Wait this long while there is no such message; a plain number means seconds.",
)
@list_length_option
@agent_options
@service_options
@json_option
@quiet_option
@as_of_option
def inbox(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the filters.
) -> None:
    """List the received messages of an agent, the newest first."""
    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        query = {
            "limit": given["limit"],
            "unread_only": given["unread"] or None,
            "from_address": _address(mailbox, given["sender"]),
            "kind": given["kind"],
            "task_id": given["task"],
            "thread_id": given["thread"] and mailbox.thread_id(given["thread"]),
            "since": given["since"],
            "cursor": given["cursor"],
        }
        page = _wait_for_messages(mailbox, query, given["wait"] or 0.0)
    if quiet:
        _print_ids(page.messages)
    elif as_json:
        print_json(page.raw)
    else:
        print_messages(f"Inbox, {page.unread_count} unread", page.messages)
        if page.has_more:
            print_more(page.cursor)


def _wait_for_messages(mailbox: Mailbox, query: Mapping[str, Any], seconds: float) -> "InboxPage":
    """List messages; while there is none, wait in long polls until the time has passed."""
    from quorate.contracts.mail.messages import LIST_INBOX

    ends_at = time.monotonic() + seconds
    while True:
        wait = min(POLL_SECONDS, max(0.0, ends_at - time.monotonic()))
        waiting = {**query, "wait": wait or None}
        page = mailbox.call(LIST_INBOX, query=waiting, timeout_seconds=CALL_TIMEOUT_SECONDS + wait)
        if page.messages or time.monotonic() >= ends_at:
            return page


def _address(mailbox: Mailbox, name: str | None) -> str | None:
    return None if name is None else mailbox.addresses([name])[0]


def _print_ids(messages: Any) -> None:  # noqa: ANN401 - of one of several pages.
    for one in messages:
        print_line(one.message_id)


@click.command(
    epilog="""
\b
Examples:
  quorate mail sent --agent-name outreach-agent
  quorate mail sent --agent-name outreach-agent --limit 5 --json
"""
    + EXIT_CODES
)
@cursor_option
@list_length_option
@agent_options
@service_options
@json_option
@quiet_option
@as_of_option
def sent(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    cursor: str | None,
    limit: int,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the sent messages of an agent with their delivery, the newest first."""
    from quorate.contracts.mail.messages import LIST_SENT

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        page = mailbox.call(LIST_SENT, query={"limit": limit, "cursor": cursor})
    if quiet:
        _print_ids(page.messages)
    elif as_json:
        print_json(page.raw)
    else:
        print_messages("Sent messages", page.messages, sent=True)
        if page.has_more:
            print_more(page.cursor)


@click.command(
    epilog="""
\b
Examples:
  message=$(quorate mail send --agent-name outreach-agent \\
    --to retention-agent --subject "Hello" --body "Good morning." --quiet)
  quorate mail read "$message" --agent-name retention-agent
  quorate mail read "$message" --agent-name retention-agent --keep-unread
"""
    + EXIT_CODES
)
@click.argument("message")
@click.option("--keep-unread", is_flag=True, help="Do not mark the message as read.")
@agent_options
@service_options
@json_option
@as_of_option
def read(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    message: str,
    keep_unread: bool,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
) -> None:
    """Print MESSAGE and mark it as read; a short id from a table is enough.

    A tenant key without an agent reads every message of the tenant, and marks nothing.
    """
    from quorate.contracts.mail.messages import GET_MESSAGE

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        found = mailbox.call(
            GET_MESSAGE,
            query={"mark_read": not keep_unread},
            message_id=mailbox.message_id(message),
        )
    if as_json:
        print_json(found.raw)
    else:
        print_message(found)


@click.command(
    epilog="""
\b
Examples:
  message=$(quorate mail send --agent-name outreach-agent \\
    --to retention-agent --subject "TASK:offer-7" --body "Please." --quiet)
  quorate mail thread "$message" --agent-name retention-agent
  quorate mail thread "$message" --agent-name outreach-agent --newest \\
    --limit 5 --json
"""
    + EXIT_CODES
)
@click.argument("thread")
@click.option("--newest", is_flag=True, help="The newest message first.")
@cursor_option
@click.option(
    "--limit",
    type=IntegerRange(1, LIST_LENGTH_MAX),
    default=LIST_LENGTH_MAX,
    show_default=True,
    help="Maximum number of messages to list.",
)
@agent_options
@service_options
@json_option
@quiet_option
@as_of_option
def thread(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    thread: str,
    newest: bool,
    cursor: str | None,
    limit: int,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print THREAD (its id, or a message of it), the oldest message first.

    Agents that sent or received a message of the thread can read all of it.
    """
    from quorate.contracts.mail.messages import GET_THREAD

    with open_mailbox(sources, agent_id, agent_name) as mailbox:
        query = {"limit": limit, "cursor": cursor, "order": "desc" if newest else None}
        found = mailbox.call(GET_THREAD, query=query, thread_id=mailbox.thread_id(thread))
    if quiet:
        _print_ids(found.messages)
    elif as_json:
        print_json(found.raw)
    else:
        print_line(f"{found.subject or '(no subject)'} ({found.thread_id})")
        print_line(f"Participants: {', '.join(found.participant_addresses)}")
        print_thread(found.messages)
        if found.has_more:
            print_more(found.cursor)
