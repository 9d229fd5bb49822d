"""`quorate agents lease` and its kin: holding a contact, and the gate that asks who does."""

from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import advice_for, agent_id_of, names_by_id, say_each
from quorate.cli.connection.api import ApiClient, calling
from quorate.cli.connection.resolve import TargetSources, called_service, who
from quorate.cli.options import (
    Minutes,
    agent_options,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import clock, print_facts, print_json, print_table, say, table_clock
from quorate.cli.output.errors import CONFLICT, EXIT_CODES
from quorate.domain.coordination.leases import (
    DURATION_MINUTES_DEFAULT,
    DURATION_MINUTES_MAX,
    DURATION_MINUTES_MIN,
)

if TYPE_CHECKING:
    from quorate.client.results import LeaseInfo, SendVerdict

duration_option = click.option(
    "--duration",
    type=Minutes(DURATION_MINUTES_MIN, DURATION_MINUTES_MAX),
    default=DURATION_MINUTES_DEFAULT,
    show_default=f"{DURATION_MINUTES_DEFAULT:g}",
    help="For how long; may be a fraction.",
)


@click.command(
    epilog="""
\b
Examples:
  quorate agents lease --agent-name outreach-agent \\
    --contact-email user@example.com --intent outbound_sales --duration 30
  lease=$(quorate agents lease --agent-name outreach-agent \\
    --contact-email user@example.com --quiet)

While another agent holds the contact, this ends with 3 and says who does.
"""
    + EXIT_CODES
)
@agent_options
@click.option("--contact-email", required=True, help="The contact to lease.")
@click.option("--intent", default="general", show_default=True, help="What for.")
@duration_option
@service_options
@json_option
@quiet_option
def lease(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    contact_email: str,
    intent: str,
    duration: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Take exclusive hold of a contact for a time; the holder who asks again renews."""
    from quorate.client import requests

    service = called_service(where)
    meant = who(service, agent_id, agent_name)
    ask = requests.acquire_lease(meant, contact_email, intent=intent, duration_minutes=duration)
    with calling(where, service, advice=advice_for(meant)) as line:
        found = line.ask(ask)
    name = meant.name or found.agent_id
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
    where: TargetSources, lease_id: str, duration: float, as_json: bool, quiet: bool
) -> None:
    """Keep the lease LEASE_ID for another while, counted from now; its fence stays."""
    from quorate.client import requests

    with calling(where) as line:
        found = line.ask(requests.renew_lease(lease_id, duration_minutes=duration))
    _print(f"{found.contact_email} stays leased.", found, as_json, quiet)


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
def release_lease(where: TargetSources, lease_id: str, as_json: bool) -> None:
    """Give the lease LEASE_ID back; once it has ended, this changes nothing."""
    from quorate.client import requests

    with calling(where) as line:
        line.ask(requests.release_lease(lease_id))
    if as_json:
        print_json({"released": True})
    else:
        say(f"Released {lease_id}.")


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
@click.option("--agent", allow_from_autoenv=False, help="Only this agent's: a name or an id.")
@click.option("--contact-email", help="Only of this contact.")
@service_options
@limit_option
@json_option
@quiet_option
def leases(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
    agent: str | None,
    contact_email: str | None,
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the leases that are held now."""
    with calling(where) as line:
        agent_id = None if agent is None else agent_id_of(line, agent)
        found = _all(line, agent_id, contact_email, limit)
        names = {} if as_json or quiet or not found else names_by_id(line)
    if quiet:
        say_each([one.id for one in found])
    elif as_json:
        print_json([one.raw for one in found])
    else:
        columns = ("contact", "holder", "intent", "until (UTC)", "fence", "id")
        print_table("Leases held", columns, [_row(one, names) for one in found])


def _all(
    line: ApiClient, agent_id: str | None, contact_email: str | None, limit: int
) -> "list[LeaseInfo]":
    from quorate.client import requests

    return line.listed(
        lambda after, length: requests.list_leases(
            agent_id=agent_id, contact_email=contact_email, after=after, limit=length
        ),
        lambda one: one.id,
        limit,
    )


def _row(one: "LeaseInfo", names: dict[str, str]) -> tuple[str, ...]:
    holder = names.get(one.agent_id, one.agent_id)
    expires = table_clock(one.expires_at)
    return (one.contact_email, holder, one.intent, expires, str(one.fence), one.id)


def _print(headline: str, found: "LeaseInfo", as_json: bool, quiet: bool) -> None:
    if quiet:
        say(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        print_facts(
            headline,
            {
                "lease": found.id,
                "until": clock(found.expires_at),
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

Blocked is exit code 3, so that nothing behind && happens.
"""
    + EXIT_CODES,
)
@agent_options
@click.option("--contact-email", required=True, help="The contact to send to.")
@click.option("--fence", type=click.IntRange(1), help="Of your lease: an old one is blocked.")
@service_options
@json_option
def request_send(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    contact_email: str,
    fence: int | None,
    as_json: bool,
) -> None:
    """Ask, right before sending to a contact, whether this agent may."""
    from quorate.client import requests

    service = called_service(where)
    meant = who(service, agent_id, agent_name)
    with calling(where, service, advice=advice_for(meant)) as line:
        verdict = line.ask(requests.request_send(meant, contact_email, fence=fence))
    if as_json:
        print_json(verdict.raw)
    else:
        say(_told(verdict))
    if not verdict.authorized:
        click.get_current_context().exit(CONFLICT)


def _told(verdict: "SendVerdict") -> str:
    if verdict.authorized:
        return f"Authorized: send to {verdict.contact_email} now."
    if verdict.holder is not None:
        holder = verdict.holder
        return f"Blocked: {holder.agent_name} holds the contact until {clock(holder.expires_at)}."
    return f"Blocked: fence {verdict.fence} is old; another lease came after it."
