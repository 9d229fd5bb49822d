"""`quorate mail watch`: print messages of an agent the moment they arrive, without polling."""

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

RECEIVED = "message_received"
STATUS = ("message_status", "acknowledgement_due")


@click.command(
    epilog="""
\b
Examples:
  quorate mail send --agent-name outreach-agent --to retention-agent \\
    --subject "TASK:review-9" --body "Please."
  quorate mail watch --agent-name retention-agent --after 0 --once
  quorate mail watch --agent-name retention-agent --after 0 --for 1s --json
"""
    + WATCH_EXIT_CODES
)
@after_option
@once_option
@count_option
@seconds_option
@click.option(
    "--status",
    "with_status",
    is_flag=True,
    help="Also what became of sent messages: acknowledged, bounced, blocked; and reminders.",
)
@nats_option
@agent_options
@service_options
@json_option
def watch_mail(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    after: int | None,
    once: bool,
    count: int | None,
    seconds: float | None,
    with_status: bool,
    nats_url: str | None,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
) -> None:
    """Print each message of an agent when it arrives; nothing is marked as read.

    The JSON of a notification has the text of the message, unless it is long.
    """
    expected = expected_events(once=once, count=count)
    service = resolve_target(sources)
    with open_api(sources, service) as api:
        acting_agent = resolve_agent(service, agent_id, agent_name)
        watched = acting_agent.id or agent_id_of(api, acting_agent.name)
        known = {} if as_json else names_by_id(api)
    source = open_source(service, watched, after, nats_url)
    names = (RECEIVED, *STATUS) if with_status else (RECEIVED,)
    follow(source, names, known, as_json=as_json, expected=expected, seconds=seconds)
