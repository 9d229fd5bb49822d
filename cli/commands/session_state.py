"""`quorate sessions`: values of a session, messages as they arrive, and erasure."""

from typing import Any

import click

from quorate.cli.commands.agents import agent_id_of, names_by_id
from quorate.cli.commands.watch import (
    WATCH_EXIT_CODES,
    after_option,
    count_option,
    expected_events,
    follow,
    nats_option,
    once_option,
    open_source,
    seconds_option,
)
from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import agent_options, json_option, service_options
from quorate.cli.output.console import format_time, print_json, print_line
from quorate.cli.output.errors import EXIT_CODES

NOTIFICATIONS = ("session_message", "session_read")


@click.command(
    epilog="""
\b
Examples:
  quorate sessions state set plan step '{"number": 3}' \\
    --agent-name outreach-agent
  quorate sessions state get plan step --agent-name outreach-agent
  quorate sessions state list plan --agent-name outreach-agent
  quorate sessions state clear plan --agent-name outreach-agent
"""
    + EXIT_CODES
)
@click.argument("operation", type=click.Choice(["get", "set", "delete", "list", "clear"]))
@click.argument("namespace")
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("--session", "session_key", help="The session. [default: the agent's main session]")
@agent_options
@service_options
@json_option
def state(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    operation: Any,  # noqa: ANN401 - one of the choices.
    namespace: str,
    key: str | None,
    value: str | None,
    session_key: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
) -> None:
    """Get, set, delete, list or clear values of one of the agent's sessions.

    VALUE is JSON; any other text is stored as a text.
    """
    import orjson

    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        request = session_requests.session_state(
            resolve_agent(service, agent_id, agent_name),
            operation,
            namespace,
            key=key,
            value=_value_of(value),
            session_key=session_key,
        )
        found = api.call(request)
    if as_json:
        print_json(found.raw)
        return
    match operation:
        case "get":
            print_line(orjson.dumps(found.value).decode() if found.found else "There is no value.")
        case "set":
            print_line(f"Stored {namespace}/{key}.")
        case "list":
            for one in found.values or ():
                print_line(f"{one.key}  {one.bytes} bytes  {format_time(one.updated_at)}")
        case _:
            print_line(f"Deleted values: {found.deleted}.")


def _value_of(text: str | None) -> Any:  # noqa: ANN401 - any JSON value.
    import orjson

    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


@click.command(
    "watch",
    epilog="""
\b
Examples:
  quorate sessions send agent:retention-agent:main "Please review" \\
    --agent-name outreach-agent
  quorate sessions watch --agent-name retention-agent --after 0 --once
"""
    + WATCH_EXIT_CODES,
)
@after_option
@once_option
@count_option
@seconds_option
@nats_option
@agent_options
@service_options
@json_option
def watch_sessions(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    after: int | None,
    once: bool,
    count: int | None,
    seconds: float | None,
    nats_url: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
) -> None:
    """Print messages to the sessions of an agent, answers and reads, as they arrive."""
    expected = expected_events(once=once, count=count)
    service = resolve_target(sources)
    with open_api(sources, service) as api:
        acting_agent = resolve_agent(service, agent_id, agent_name)
        watched = acting_agent.id or agent_id_of(api, acting_agent.name)
        known = {} if as_json else names_by_id(api)
    source = open_source(service, watched, after, nats_url)
    follow(source, NOTIFICATIONS, known, as_json=as_json, expected=expected, seconds=seconds)


@click.command(
    epilog="""
\b
Examples:
  message=$(quorate sessions send agent:retention-agent:main "Secret" \\
    --agent-name outreach-agent --quiet)
  quorate sessions erase "$message" --detail "Requested by the person"
"""
    + EXIT_CODES
)
@click.argument("message_id")
@click.option("--detail", help="Why; the log keeps it.")
@service_options
@json_option
def erase(sources: TargetSources, message_id: str, detail: str | None, as_json: bool) -> None:
    """Erase the body of the message MESSAGE_ID everywhere. The log keeps that it existed."""
    from quorate.client import session_requests

    with open_api(sources) as api:
        erased = api.call(session_requests.erase_message(message_id, detail))
    if as_json:
        print_json(erased.raw)
    else:
        print_line(f"Erased {erased.message_id} at {format_time(erased.erased_at)}.")
