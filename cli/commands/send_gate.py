"""`quorate lease request-send`: ask the send gate before a guarded action."""

from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import advice_for
from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import (
    agent_options,
    contact_argument,
    json_option,
    service_options,
)
from quorate.cli.output.console import (
    format_time,
    print_json,
    print_line,
)
from quorate.cli.output.errors import CONFLICT, EXIT_CODES
from quorate.cli.parameter_types import SEQUENCE_MAX, IntegerRange

if TYPE_CHECKING:
    from quorate.contracts.coordination.send_gate import SendVerdict


@click.command(
    "request-send",
    epilog="""
\b
Examples:
  quorate agents request-send user@example.com \\
    --agent-name outreach-agent && echo sending
  quorate lease request-send user@example.com \\
    --agent-name outreach-agent --quiet && echo sending

Blocked is exit code 3, so a command after && does not run.
"""
    + EXIT_CODES,
)
@contact_argument("The contact to send to.")
@agent_options
@click.option(
    "--fence",
    type=IntegerRange(1, SEQUENCE_MAX),
    help="Fencing token of your lease; a stale one is blocked.",
)
@service_options
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code is the answer.")
def request_send(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    contact_email: str,
    fence: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check the send gate: may this agent send to CONTACT now?"""
    from quorate.client import requests

    service = resolve_target(sources)
    acting_agent = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(acting_agent)) as api:
        verdict = api.call(requests.request_send(acting_agent, contact_email, fence=fence))
    if as_json and not quiet:
        print_json(verdict.raw)
    elif not quiet:
        print_line(_describe(verdict))
    if not verdict.authorized:
        click.get_current_context().exit(CONFLICT)


def _describe(verdict: "SendVerdict") -> str:
    if verdict.authorized:
        return f"Authorized: send to {verdict.contact_email} now."
    if verdict.holder is not None:
        holder = verdict.holder
        until = format_time(holder.expires_at)
        return f"Blocked: {holder.agent_name} holds the contact until {until}."
    return f"Blocked: fence {verdict.fence} is stale; a newer lease exists."
