"""`quorate lease`: leases on contacts, and the send gate.

`quorate agents lease`, `renew-lease`, `release-lease` and `leases` are the same commands, under the
names of the seeds.
"""

from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import advice_for, agent_id_of, names_by_id, print_lines
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import TargetSources, agent_ref, resolve_agent, resolve_target
from quorate.cli.options import (
    agent_options,
    as_of_option,
    contact_argument,
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
from quorate.cli.output.errors import CONFLICT, EXIT_CODES, NOT_FOUND, Failure
from quorate.cli.parameter_types import Duration
from quorate.domain.coordination.leases import (
    DURATION_MINUTES_DEFAULT,
    DURATION_MINUTES_MAX,
    DURATION_MINUTES_MIN,
    INTENT_DEFAULT,
)

if TYPE_CHECKING:
    from quorate.contracts.coordination.leases import LeaseInfo

ACQUIRING = """\
  lease=$(quorate lease acquire user@example.com \\
    --agent-name outreach-agent --quiet)
"""
duration_option = click.option(
    "--duration",
    type=Duration("m", DURATION_MINUTES_MIN, DURATION_MINUTES_MAX),
    default=f"{DURATION_MINUTES_DEFAULT:g}m",
    show_default=True,
    help="Duration of the lease, e.g. 90s, 30m or 2h; a plain number means minutes.",
)


intent_option = click.option(
    "--intent",
    help=f"Purpose label, e.g. outbound_sales. [default: unchanged, {INTENT_DEFAULT} if new]",
)


@click.command(
    epilog="""
\b
Examples:
  quorate lease acquire user@example.com --agent-name outreach-agent
  quorate agents lease --agent-name outreach-agent \\
    --contact-email user@example.com --intent outbound_sales --duration 30m
"""
    + ACQUIRING
    + """
While another holder has the contact, the exit code is 3 and the error names the holder. It is 3
also when the lease has ended before the response arrived.
"""
    + EXIT_CODES
)
@contact_argument("The contact to lease.")
@agent_options
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
    """Acquire an exclusive lease on CONTACT; the current holder renews it."""
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
    epilog="\n\b\nExamples:\n"
    + ACQUIRING
    + """\
  quorate lease renew "$lease" --duration 30m
  quorate agents renew-lease "$lease"
"""
    + EXIT_CODES
)
@click.argument("lease_id", metavar="LEASE")
@duration_option
@service_options
@json_option
@quiet_option
def renew_lease(
    sources: TargetSources, lease_id: str, duration: float, as_json: bool, quiet: bool
) -> None:
    """Renew LEASE (an id or a contact) for --duration from now; its fencing token stays."""
    from quorate.client import requests

    with open_api(sources) as api:
        known = _lease_id(api, lease_id)
        found = api.call(requests.renew_lease(known, duration_minutes=duration))
    _print(f"Renewed the lease on {found.contact_email}.", found, as_json, quiet)


@click.command(
    epilog="\n\b\nExamples:\n"
    + ACQUIRING
    + """\
  quorate lease release user@example.com --agent-name outreach-agent
  quorate agents release-lease "$lease"
"""
    + EXIT_CODES
)
@click.argument("lease_id", metavar="LEASE")
@click.option(
    "--force",
    is_flag=True,
    help="With a contact: release the lease of any agent. Needs a tenant key.",
)
@agent_options
@service_options
@json_option
@quiet_option
def release_lease(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    lease_id: str,
    force: bool,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Release LEASE (an id or a contact); releasing an ended lease has no effect.

    A contact names the lease of the acting agent; with --force, the lease of any agent.
    """
    from quorate.client import requests

    with open_api(sources) as api:
        if is_contact(lease_id):
            found = _lease_on(api, lease_id)
            if not force:
                acting_agent = resolve_agent(api.service, agent_id, agent_name)
                _require_holder(api, found, acting_agent.id or acting_agent.name)
        elif as_json or quiet:
            found = None
        else:
            found = api.call(requests.get_lease(lease_id))
        known = lease_id if found is None else found.id
        api.call(requests.release_lease(known))
    if quiet:
        print_line(known)
    elif as_json or found is None:
        print_json({"released": True})
    elif found.status == "active":
        print_line(f"Released {found.contact_email} (lease {found.id}).")
    else:
        print_line(f"The lease on {found.contact_email} had already ended: {found.status}.")


@click.command(
    "get",
    epilog="\n\b\nExamples:\n"
    + ACQUIRING
    + """\
  quorate lease get user@example.com
  quorate lease get "$lease" -o json
"""
    + EXIT_CODES,
)
@click.argument("lease_id", metavar="LEASE")
@service_options
@json_option
@quiet_option
@as_of_option
def get_lease(sources: TargetSources, lease_id: str, as_json: bool, quiet: bool) -> None:
    """Show LEASE (an id, or a contact with an active lease)."""
    from quorate.client import requests

    with open_api(sources) as api:
        found = (
            _lease_on(api, lease_id)
            if is_contact(lease_id)
            else api.call(requests.get_lease(lease_id))
        )
        holder = found.agent_id
        if not (as_json or quiet):
            holder = api.call(requests.get_agent(found.agent_id)).name
    verb = "holds" if found.status == "active" else "held"
    headline = f"{holder} {verb} {found.contact_email}."
    _print(headline, found, as_json, quiet, {"status": found.status})


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate lease list
  quorate lease list --agent outreach-agent -o wide
  quorate agents leases --contact-email user@example.com --json
"""
    + EXIT_CODES,
)
@click.option("--agent", allow_from_autoenv=False, help="Only leases of this agent (name or id).")
@click.option("--contact-email", "--contact", help="Only the lease on this contact.")
@service_options
@limit_option
@json_option
@quiet_option
@as_of_option
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


def _print(
    headline: str,
    found: "LeaseInfo",
    as_json: bool,
    quiet: bool,
    more: dict[str, str] | None = None,
) -> None:
    if quiet:
        print_line(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        print_details(
            headline,
            {
                "lease": found.id,
                **(more or {}),
                "until": format_time(found.expires_at),
                "fence": str(found.fence),
                "intent": found.intent,
            },
        )


# -- A lease by its id or by its contact ----------------------------------------------


def is_contact(text: str) -> bool:
    """Whether the text names a contact; a lease id has no ``@``."""
    return "@" in text


def _lease_id(api: ApiClient, text: str) -> str:
    return _lease_on(api, text).id if is_contact(text) else text


def _lease_on(api: ApiClient, contact: str) -> "LeaseInfo":
    from quorate.client import requests

    found = api.call(requests.list_leases(contact_email=contact, limit=1))
    if not found:
        raise Failure(f"No active lease on {contact}", NOT_FOUND)
    return found[0]


def _require_holder(api: ApiClient, found: "LeaseInfo", agent: str | None) -> None:
    """Raise Failure unless the acting agent holds the lease."""
    from quorate.client import requests

    acting_id = agent_ref(agent).id
    if agent is None:
        acting_id = api.call(requests.get_own_key()).agent_id
    if found.agent_id == acting_id:
        return
    holder = api.call(requests.get_agent(found.agent_id)).name
    if agent is None or holder.lower() != agent.lower():
        raise Failure(
            f"{holder} holds {found.contact_email}",
            CONFLICT,
            "release it with --force, or name the acting agent with --agent-name",
        )
