"""`quorate sessions`: list, create, branch and delete sessions."""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import agent_options, json_option, quiet_option, service_options
from quorate.cli.output.console import (
    format_table_time,
    print_hint,
    print_json,
    print_line,
    print_table,
)
from quorate.cli.output.errors import EXIT_CODES
from quorate.cli.parameter_types import SEQUENCE_MAX, IntegerRange

if TYPE_CHECKING:
    from quorate.contracts.sessions.sessions import SessionInfo

PAGE_LENGTH_DEFAULT, PAGE_LENGTH_MAX = 20, 100
page_option = click.option(
    "--limit",
    type=IntegerRange(1, PAGE_LENGTH_MAX),
    default=PAGE_LENGTH_DEFAULT,
    show_default=True,
    help="Maximum number of items.",
)
cursor_option = click.option(
    "--cursor", allow_from_autoenv=False, help="The cursor of a page: list what follows it."
)


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate sessions list
  quorate sessions list --agent-name outreach-agent --filter agent:
"""
    + EXIT_CODES,
)
@click.option("--filter", "filter_", help="Part of the key or the label.")
@page_option
@cursor_option
@agent_options
@service_options
@json_option
@quiet_option
def list_sessions(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    filter_: str | None,
    limit: int,
    cursor: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the sessions that the agent sees; without an agent, all of the tenant."""
    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        agent = resolve_agent(service, agent_id, agent_name)
        page = api.call(session_requests.list_sessions(agent, filter_, limit=limit, cursor=cursor))
    if quiet:
        for one in page.sessions:
            print_line(one.key)
    elif as_json:
        print_json(page.raw)
    else:
        _print(page.sessions)
        if page.next_cursor is not None:
            print_hint(f"There are more: --cursor {page.next_cursor}")


def _print(sessions: "list[SessionInfo]") -> None:
    if not sessions:
        print_line("There are no such sessions.")
        return
    rows = [
        (
            one.key,
            one.label or "",
            str(one.message_count),
            str(one.unread),
            format_table_time(one.updated_at),
        )
        for one in sessions
    ]
    print_table("Sessions", ("Key", "Label", "Messages", "Unread", "Updated (UTC)"), rows)


@click.command(
    epilog="""
\b
Examples:
  quorate sessions create --agent-name outreach-agent --label Notes
  quorate sessions create agent:outreach-agent:plan \\
    --agent-name outreach-agent
"""
    + EXIT_CODES
)
@click.argument("key", required=False)
@click.option("--label", help="A text that lists show.")
@click.option("--model", help="The model of the session, for its owner.")
@click.option("--project-id", help="The project of the session, for its owner.")
@click.option("--inherit-agent-from", help="The session whose agent is to own the new one.")
@agent_options
@service_options
@json_option
@quiet_option
def create(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    key: str | None,
    label: str | None,
    model: str | None,
    project_id: str | None,
    inherit_agent_from: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Create the session KEY, or return the existing one. Without KEY it gets a new one."""
    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        request = session_requests.create_session(
            resolve_agent(service, agent_id, agent_name),
            key,
            label=label,
            model=model,
            project_id=project_id,
            inherit_agent_from=inherit_agent_from,
        )
        created = api.call(request)
    if quiet:
        print_line(created.key)
    elif as_json:
        print_json(created.raw)
    else:
        done = "Created session" if created.created else "There is the session"
        print_line(f"{done} {created.key}.")


@click.command(
    epilog="""
\b
Examples:
  quorate sessions branch "another approach" --agent-name outreach-agent
"""
    + EXIT_CODES
)
@click.argument("label")
@click.option("--key", help="The session to branch. [default: the agent's main session]")
@click.option(
    "--fork-point",
    type=IntegerRange(0, SEQUENCE_MAX),
    help="The index of the first message that is left out. [default: all are kept]",
)
@agent_options
@service_options
@json_option
@quiet_option
def branch(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    label: str,
    key: str | None,
    fork_point: int | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Create a session with the messages of another one; LABEL is its label."""
    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        agent = resolve_agent(service, agent_id, agent_name)
        request = session_requests.branch_session(agent, label, key=key, fork_point=fork_point)
        made = api.call(request)
    if quiet:
        print_line(made.session_key)
    elif as_json:
        print_json(made.raw)
    else:
        print_line(f"Created {made.session_key} with {made.message_count} messages.")


@click.command(
    epilog="""
\b
Examples:
  key=$(quorate sessions create --agent-name outreach-agent --quiet)
  quorate sessions delete "$key" --agent-name outreach-agent
"""
    + EXIT_CODES
)
@click.argument("key")
@click.option("--force", is_flag=True, help="Also if it has branches: what they share is erased.")
@agent_options
@service_options
@json_option
@quiet_option
def delete(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    key: str,
    force: bool,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Delete the session KEY and its messages. A main session cannot be deleted."""
    from quorate.client import session_requests

    service = resolve_target(sources)
    with open_api(sources, service) as api:
        agent = resolve_agent(service, agent_id, agent_name)
        deleted = api.call(session_requests.delete_session(agent, key, force=force))
    if quiet:
        print_line(key)
    elif as_json:
        print_json(deleted.raw)
    else:
        print_line(f"Deleted session {key}.")
