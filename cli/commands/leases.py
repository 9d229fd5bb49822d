"""`quorate agents lease` and related commands: leases on contacts, and the send gate."""

from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import advice_for, agent_id_of, names_by_id, print_lines
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import TargetSources, resolve_agent, resolve_target
from quorate.cli.options import (
    Minutes,
    agent_options,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import (
    format_table_time,
    format_time,
    print_details,
    print_json,
    print_line,
    print_table,
)
from quorate.cli.output.errors import CONFLICT, EXIT_CODES
from quorate.domain.coordination.leases import (
    DURATION_MINUTES_DEFAULT,
    DURATION_MINUTES_MAX,
    DURATION_MINUTES_MIN,
    INTENT_DEFAULT,
)

if TYPE_CHECKING:
    from quorate.contracts.coordination.leases import LeaseInfo
    from quorate.contracts.coordination.send_gate import SendVerdict

duration_option = click.option(
    "--duration",
    type=Minutes(DURATION_MINUTES_MIN, DURATION_MINUTES_MAX),
    default=DURATION_MINUTES_DEFAULT,
    show_default=f"{DURATION_MINUTES_DEFAULT:g}",
    help="Duration of the lease in minutes; fractions are allowed.",
)


intent_option = click.option(
    "--intent",
    help=f"Purpose label, e.g. outbound_sales. [default: unchanged, {INTENT_DEFAULT} if new]",
)


@click.command(
    epilog="""
\b
Examples:
  quorate agents lease --agent-name outreach-agent \\
    --contact-email user@example.com --intent outbound_sales --duration 30
  lease=$(quorate agents lease --agent-name outreach-agent \\
    --contact-email user@example.com --quiet)

While another holder has the contact, the exit code is 3 and the error names the holder. It is 3
also when the lease has ended before the response arrived.
"""
    + EXIT_CODES
)
@agent_options
@click.option("--contact-email", required=True, help="The contact to lease.")
@intent_option
@duration_option
@click.option(
    "--holder",
    help="Name of this instance of the agent; other instances are rejected. [default: none]",
)
@service_options
@json_option
@quiet_option
def lease(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    contact_email: str,
    intent: str | None,
    duration: float,
    holder: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Acquire an exclusive lease on a contact; the current holder renews it."""
    from quorate.client import requests

    service = resolve_target(sources)
    acting_agent = resolve_agent(service, agent_id, agent_name)
    request = requests.acquire_lease(
        acting_agent, contact_email, intent=intent, duration_minutes=duration, holder=holder
    )
    with open_api(sources, service, advice=advice_for(acting_agent)) as api:
        found = api.call(request)
    name = acting_agent.name or found.agent_id
    _print(f"{name} holds {found.contact_email}.", found, as_json, quiet)


@click.command(
    "renew-lease",
    epilog="""
\b
Example:
  lease=$(quorate agents lease --agent-name outreach-agent \\
    --contact-email user@example.com --quiet)
  quorate agents renew-lease "$lease" --duration 30
"""
    + EXIT_CODES,
)
@click.argument("lease_id")
@duration_option
@service_options
@json_option
@quiet_option
def renew_lease(
    sources: TargetSources, lease_id: str, duration: float, as_json: bool, quiet: bool
) -> None:
    """Renew the lease LEASE_ID for --duration from now; its fencing token stays the same."""
    from quorate.client import requests

    with open_api(sources) as api:
        found = api.call(requests.renew_lease(lease_id, duration_minutes=duration))
    _print(f"Renewed the lease on {found.contact_email}.", found, as_json, quiet)


@click.command(
    "release-lease",
    epilog="""
\b
Example:
  lease=$(quorate agents lease --agent-name outreach-agent \\
    --contact-email user@example.com --quiet)
  quorate agents release-lease "$lease"
"""
    + EXIT_CODES,
)
@click.argument("lease_id")
@service_options
@json_option
def release_lease(sources: TargetSources, lease_id: str, as_json: bool) -> None:
    """Release the lease LEASE_ID; releasing an ended lease has no effect."""
    from quorate.client import requests

    with open_api(sources) as api:
        api.call(requests.release_lease(lease_id))
    if as_json:
        print_json({"released": True})
    else:
        print_line(f"Released {lease_id}.")


@click.command(
    epilog="""
\b
Examples:
  quorate agents leases
  quorate agents leases --agent outreach-agent
  quorate agents leases --contact-email user@example.com --json
"""
    + EXIT_CODES
)
@click.option("--agent", allow_from_autoenv=False, help="Only leases of this agent (name or id).")
@click.option("--contact-email", help="Only the lease on this contact.")
@service_options
@limit_option
@json_option
@quiet_option
def leases(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent: str | None,
    contact_email: str | None,
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the active leases."""
    with open_api(sources) as api:
        agent_id = None if agent is None else agent_id_of(api, agent)
        found = _all(api, agent_id, contact_email, limit)
        names = {} if as_json or quiet or not found else names_by_id(api)
    if quiet:
        print_lines([one.id for one in found])
    elif as_json:
        print_json([one.raw for one in found])
    else:
        columns = ("contact", "holder", "intent", "until (UTC)", "fence", "id")
        print_table("Leases held", columns, [_row(one, names) for one in found])


def _all(
    api: ApiClient, agent_id: str | None, contact_email: str | None, limit: int
) -> "list[LeaseInfo]":
    from quorate.client import requests

    return api.list_all(
        lambda after, length: requests.list_leases(
            agent_id=agent_id, contact_email=contact_email, after=after, limit=length
        ),
        limit,
    )


def _row(one: "LeaseInfo", names: dict[str, str]) -> tuple[str, ...]:
    holder = names.get(one.agent_id, one.agent_id)
    expires = format_table_time(one.expires_at)
    return (one.contact_email, holder, one.intent, expires, str(one.fence), one.id)


def _print(headline: str, found: "LeaseInfo", as_json: bool, quiet: bool) -> None:
    if quiet:
        print_line(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        print_details(
            headline,
            {
                "lease": found.id,
                "until": format_time(found.expires_at),
                "fence": str(found.fence),
                "intent": found.intent,
            },
        )


# -- The send gate ----------------------------------------------------------------


@click.command(
    "request-send",
    epilog="""
\b
Examples:
  quorate agents request-send --agent-name outreach-agent \\
    --contact-email user@example.com && echo sending

Blocked is exit code 3, so a command after && does not run.
"""
    + EXIT_CODES,
)
@agent_options
@click.option("--contact-email", required=True, help="The contact to send to.")
@click.option(
    "--fence", type=click.IntRange(1), help="Fencing token of your lease; a stale one is blocked."
)
@service_options
@json_option
def request_send(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    contact_email: str,
    fence: int | None,
    as_json: bool,
) -> None:
    """Check the send gate: may this agent send to the contact now?"""
    from quorate.client import requests

    service = resolve_target(sources)
    acting_agent = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(acting_agent)) as api:
        verdict = api.call(requests.request_send(acting_agent, contact_email, fence=fence))
    if as_json:
        print_json(verdict.raw)
    else:
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
