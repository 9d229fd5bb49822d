"""`quorate sessions`: read, search, send and answer messages."""

from typing import TYPE_CHECKING, Any

import click

from quorate.cli.commands.sessions import cursor_option, page_option
from quorate.cli.connection.api import CALL_TIMEOUT_SECONDS, open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import agent_options, json_option, quiet_option, service_options
from quorate.cli.output.console import (
    format_time,
    print_hint,
    print_json,
    print_line,
)
from quorate.cli.output.errors import EXIT_CODES
from quorate.cli.parameter_types import SEQUENCE_MAX, Duration, IntegerRange

if TYPE_CHECKING:
    from quorate.contracts.sessions.session_messages import SessionMessageInfo

WAIT_SECONDS_MAX = 600.0
SEARCH_LIMIT_MAX = 20


@click.command(
    epilog="""
\b
Examples:
  quorate sessions history agent:outreach-agent:main
  quorate sessions history agent:outreach-agent:main --offset 20 --json
  quorate sessions history agent:outreach-agent:main --after -1
"""
    + EXIT_CODES
)
@click.argument("key")
@page_option
@click.option(
    "--offset",
    type=IntegerRange(0, SEQUENCE_MAX),
    default=0,
    help="Number of the newest messages to skip.",
)
@cursor_option
@click.option(
    "--after",
    type=IntegerRange(-1, SEQUENCE_MAX),
    help="Begin after the message with this index; -1 begins with the first one.",
)
@click.option("--mark-read", is_flag=True, help="Mark them as read; for the owner of the session.")
@agent_options
@service_options
@json_option
def history(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    key: str,
    limit: int,
    offset: int,
    cursor: str | None,
    after: int | None,
    mark_read: bool,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
) -> None:
    """Print messages of the session KEY, the oldest first."""
    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        request = session_requests.read_history(
            resolve_agent(service, agent_id, agent_name),
            key,
            limit=limit,
            offset=offset,
            cursor=cursor,
            after=after,
            mark_read=mark_read,
        )
        page = api.call(request)
    if as_json:
        print_json(page.raw)
        return
    for message in page.messages:
        _print_message(message)
    print_line(f"{page.count} of {page.total_messages} messages.")
    if page.next_cursor is not None and after is None:
        print_hint(f"There are older ones: --cursor {page.next_cursor}")


def _print_message(message: "SessionMessageInfo") -> None:
    sender = message.sender_id or "-"
    label = "" if message.context is None else f" [{message.context}]"
    at = format_time(message.created_at)
    print_line(f"{message.index} {at} {message.role} {sender}{label}")
    for line in _text(message.content).splitlines():
        print_line(f"  {line}")


def _text(content: Any) -> str:  # noqa: ANN401 - a text or another JSON value.
    import orjson

    if content is None:
        return "(erased)"
    return content if isinstance(content, str) else orjson.dumps(content).decode()


@click.command(
    epilog="""
\b
Examples:
  quorate sessions search "checkpoint rollback"
  quorate sessions search rollback --per-session 3 --json
"""
    + EXIT_CODES
)
@click.argument("query")
@click.option(
    "--limit",
    type=IntegerRange(1, SEARCH_LIMIT_MAX),
    default=5,
    show_default=True,
    help="Maximum number of hits.",
)
@click.option(
    "--per-session",
    type=IntegerRange(1, SEARCH_LIMIT_MAX),
    default=1,
    show_default=True,
    help="Maximum number of hits of one session.",
)
@agent_options
@service_options
@json_option
def search(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    query: str,
    limit: int,
    per_session: int,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
) -> None:
    """Find messages that contain all words of QUERY, the newest first."""
    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        agent = resolve_agent(service, agent_id, agent_name)
        request = session_requests.search_sessions(
            agent, query, limit=limit, per_session=per_session
        )
        hits = api.call(request)
    if as_json:
        print_json(hits.raw)
        return
    for hit in hits.results:
        print_line(f"{hit.key} message {hit.message_index} ({hit.role}): {hit.snippet}")
    if not hits.results:
        print_line("No message contains these words.")


def _content(message: str, *, as_value: bool) -> Any:  # noqa: ANN401 - a text, or a JSON value.
    import orjson

    if not as_value:
        return message
    try:
        return orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"--value: MESSAGE is no JSON: {error}") from None


value_option = click.option("--value", "as_value", is_flag=True, help="MESSAGE is a JSON value.")
wait_option = click.option(
    "--wait",
    type=Duration("s", 1, WAIT_SECONDS_MAX),
    help="Wait this long for the answer of the session's owner.",
)


@click.command(
    epilog="""
\b
Examples:
  quorate sessions send agent:retention-agent:main "Please review" \\
    --agent-name outreach-agent --label coordinator
  quorate sessions send agent:retention-agent:main "Ready?" \\
    --agent-name outreach-agent --wait 1s
"""
    + EXIT_CODES
)
@click.argument("key")
@click.argument("message")
@value_option
@wait_option
@click.option("--label", help="A label of the sender; it is no identity.")
@click.option("--model", help="The model that the owner is asked to use.")
@click.option("--in-reply-to", help="The id of the message that is answered.")
@click.option(
    "--idempotency-key", allow_from_autoenv=False, help="Send once for this key. [default: random]"
)
@agent_options
@service_options
@json_option
@quiet_option
def send(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    key: str,
    message: str,
    as_value: bool,
    wait: float | None,
    label: str | None,
    model: str | None,
    in_reply_to: str | None,
    idempotency_key: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Send MESSAGE to the session KEY."""
    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        request = session_requests.send_message(
            resolve_agent(service, agent_id, agent_name),
            key,
            _content(message, as_value=as_value),
            wait_for_reply=wait is not None,
            timeout_seconds=round(wait or 1),
            context=label,
            model=model,
            in_reply_to=in_reply_to,
        )
        sent = api.call(
            request,
            idempotency_key=idempotency_key,
            timeout_seconds=CALL_TIMEOUT_SECONDS + (wait or 0),
        )
    if quiet:
        print_line(sent.message_id)
    elif as_json:
        print_json(sent.raw)
    else:
        print_line(f"Sent {sent.message_id}, message {sent.index} of {sent.key}.")
        if sent.reply is not None:
            _print_message(sent.reply)
        elif wait is not None:
            print_line("There was no answer in time. The history will show a later one.")


@click.command(
    epilog="""
\b
Examples:
  message=$(quorate sessions send agent:retention-agent:main "Ready?" \\
    --agent-name outreach-agent --quiet)
  quorate sessions reply agent:retention-agent:main "$message" "Yes." \\
    --agent-name retention-agent
"""
    + EXIT_CODES
)
@click.argument("key")
@click.argument("message_id")
@click.argument("message")
@value_option
@agent_options
@service_options
@json_option
@quiet_option
def reply(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    key: str,
    message_id: str,
    message: str,
    as_value: bool,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Answer the message MESSAGE_ID with MESSAGE, in the session KEY.

    The first answer of the session's owner ends the wait of the sender.
    """
    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        agent = resolve_agent(service, agent_id, agent_name)
        content = _content(message, as_value=as_value)
        request = session_requests.send_message(agent, key, content, in_reply_to=message_id)
        sent = api.call(request)
    if quiet:
        print_line(sent.message_id)
    elif as_json:
        print_json(sent.raw)
    else:
        print_line(f"Sent {sent.message_id}, message {sent.index} of {sent.key}.")
