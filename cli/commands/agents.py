"""`quorate agents`: register and deregister agents, send heartbeats, list and remove agents."""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import (
    Service,
    TargetSources,
    agent_ref,
    resolve_agent,
    resolve_target,
)
from quorate.cli.options import (
    LIST_LIMIT_MAX,
    agent_options,
    as_of_option,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import (
    format_table_time,
    format_time,
    print_details,
    print_hint,
    print_json,
    print_line,
    print_table,
)
from quorate.cli.output.errors import ADVICE, EXIT_CODES, NOT_FOUND, Failure, MissingInput
from quorate.domain.identity.agents import ROLE_DEFAULT

if TYPE_CHECKING:
    from quorate.contracts.identity.agents import AgentInfo, AgentStatus
    from quorate.domain.identity.agents import AgentRef

STATUSES = ("active", "inactive", "deregistered")  # A test compares it with AgentStatus.
NO_AGENT_NAMED = MissingInput(
    "No agent is named: set --agent-name, QUORATE_AGENT or a context, or use an agent key."
)


@click.command(
    epilog="""
\b
Examples:
  quorate agents register outreach-agent --agent-role outbound
  quorate agents register --agent-name outreach-agent --json
"""
    + EXIT_CODES
)
@click.argument("name", required=False)
@click.option(
    "--agent-name",
    allow_from_autoenv=False,
    help="Same as NAME.",
)
@click.option(
    "--agent-role", default=ROLE_DEFAULT, show_default=True, help="Role label, e.g. outbound."
)
@service_options
@json_option
@quiet_option
def register(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    name: str | None,
    agent_name: str | None,
    agent_role: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Register the agent NAME, or update it.

    A name is unique in the tenant: letters, digits, '.', '_' and '-', at most 64. Registering an
    existing name keeps its id and its leases. NAME is required unless an agent key, QUORATE_AGENT
    or a context names the agent. Later commands do not act as this agent
    automatically: set QUORATE_AGENT, or use a context.
    """
    from quorate.client import requests

    if name is not None and agent_name is not None and name != agent_name:
        raise click.UsageError("NAME and --agent-name name different agents.")
    service = resolve_target(sources)
    given = name if agent_name is None else agent_name
    name = resolve_agent(service, None, None).name if given is None else given
    advice = {**ADVICE, "invalid_request": "see quorate agents register --help"}
    if name is None:
        advice["invalid_request"] = NO_AGENT_NAMED
    with open_api(sources, service, advice=advice) as api:
        agent = api.call(requests.register(name, agent_role))
    if quiet:
        print_line(agent.id)
    elif as_json:
        print_json(agent.raw)
    else:
        again = f" again (incarnation {agent.incarnation})" if agent.incarnation > 1 else ""
        _print(f"Registered {agent.name}{again}.", agent)
        _print_acting_hint(agent, service)


def _print_acting_hint(agent: "AgentInfo", service: Service) -> None:
    if resolve_agent(service, None, None).name != agent.name:
        print_hint(f"To act as this agent: export QUORATE_AGENT={agent.name}")


@click.command(
    epilog="""
\b
Examples:
  quorate agents heartbeat --agent-name outreach-agent
  QUORATE_AGENT=outreach-agent quorate agents heartbeat
"""
    + EXIT_CODES
)
@agent_options
@service_options
@json_option
@quiet_option
def heartbeat(
    sources: TargetSources,
    agent_id: str | None,
    agent_name: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Send a heartbeat; an agent without heartbeats times out and loses its leases.

    The default heartbeat timeout is 300 seconds. An agent key needs no options.
    """
    from quorate.client import requests

    service = resolve_target(sources)
    acting_agent = resolve_agent(service, agent_id, agent_name)
    with open_api(sources, service, advice=advice_for(acting_agent)) as api:
        beat = api.call(requests.heartbeat(acting_agent))
    if quiet:
        print_line(beat.agent_id)
    elif as_json:
        print_json(beat.raw)
    else:
        name = acting_agent.name or beat.agent_id
        print_line(f"{name} is active until {format_time(beat.active_until)}.")


@click.command(
    epilog="""
\b
Examples:
  quorate agents deregister outreach-agent
  QUORATE_AGENT=outreach-agent quorate agents deregister
"""
    + EXIT_CODES
)
@click.argument("agent", required=False)
@service_options
@json_option
@quiet_option
def deregister(sources: TargetSources, agent: str | None, as_json: bool, quiet: bool) -> None:
    """Deregister the agent AGENT (a name or an id). [default: the acting agent]

    Its leases end, and it counts neither in votes nor in quotas. It keeps its id, its config and
    its keys, and can register again. A program that still runs as this agent registers it again
    with its next heartbeat: stop it first, or revoke its key with --end-agent.
    """
    from quorate.client import requests

    service = resolve_target(sources)
    named = resolve_agent(service, None, None) if agent is None else agent_ref(agent)
    with open_api(sources, service, advice=advice_for(named)) as api:
        left = api.call(requests.deregister(named))
    if quiet:
        print_line(left.agent_id)
    elif as_json:
        print_json(left.raw)
    else:
        print_line(f"Deregistered {named.name or left.agent_id}.")


@click.command(
    epilog="""
\b
Examples:
  quorate agents register old-agent
  quorate agents deregister old-agent
  quorate agents remove old-agent
"""
    + EXIT_CODES
)
@click.argument("agent")
@service_options
@json_option
@quiet_option
def remove(sources: TargetSources, agent: str, as_json: bool, quiet: bool) -> None:
    """Remove the agent AGENT (a name or an id) and its config; needs a tenant key.

    The agent must not be active and have no API key. Its events remain in the log. A later
    registration of the name creates a new agent.
    """
    from quorate.client import requests

    with open_api(sources) as api:
        agent_id = agent_id_of(api, agent)
        removed = api.call(requests.remove_agent(agent_id))
    if quiet:
        print_line(agent_id)
    elif as_json:
        print_json(removed.raw)
    else:
        print_line(f"Removed {agent}.")


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate agents list
  quorate agents list --status deregistered --quiet
  quorate agents list --limit 10 --json
"""
    + EXIT_CODES,
)
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    help="Only agents with this status. [default: active and inactive]",
)
@service_options
@limit_option
@json_option
@quiet_option
@as_of_option
def list_agents(
    sources: TargetSources,
    status: "AgentStatus | None",
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the agents of the tenant with their status and the number of leases they hold."""
    with open_api(sources) as api:
        found = all_agents(api, limit, status)
    if quiet:
        print_lines([agent.id for agent in found])
    elif as_json:
        print_json([agent.raw for agent in found])
    else:
        columns = ("name", "role", "status", "leases", "last heartbeat (UTC)", "id")
        print_table("Agents", columns, [_row(agent) for agent in found])


def all_agents(
    api: ApiClient, limit: int, status: "AgentStatus | None" = None, *, with_counts: bool = True
) -> "list[AgentInfo]":
    from quorate.client import requests

    return api.list_all(
        lambda after, length: requests.list_agents(
            status=status, with_counts=with_counts, after=after, limit=length
        ),
        limit,
    )


def _row(agent: "AgentInfo") -> tuple[str, ...]:
    return (
        agent.name,
        agent.role,
        agent.status,
        str(agent.leases_held),
        format_table_time(agent.last_heartbeat),
        agent.id,
    )


@click.command(
    "get",
    epilog="""
\b
Examples:
  quorate agents get outreach-agent
  quorate agents get outreach-agent --json
"""
    + EXIT_CODES,
)
@click.argument("agent", required=False)
@service_options
@json_option
@quiet_option
@as_of_option
def show(sources: TargetSources, agent: str | None, as_json: bool, quiet: bool) -> None:
    """Show the agent AGENT (a name or an id). [default: the acting agent]"""
    from quorate.client import requests

    with open_api(sources) as api:
        found = api.call(requests.get_agent(agent_id_of(api, agent)))
    if quiet:
        print_line(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        _print(f"{found.name} is {found.status}.", found)


def _print(headline: str, agent: "AgentInfo") -> None:
    details = {
        "id": agent.id,
        "role": agent.role,
        "active until": format_time(agent.active_until),
        "last heartbeat": format_time(agent.last_heartbeat),
        "registered": format_time(agent.registered_at),
    }
    for label, count in (
        ("leases held", agent.leases_held),
        ("tasks claimed", agent.tasks_claimed),
        ("unread mail", agent.unread_mail),
    ):
        if count is not None:
            details[label] = str(count)
    print_details(headline, details)


# -- Acting agent -----------------------------------------------------------------


def advice_for(acting_agent: "AgentRef") -> dict[str, str]:
    """Return the advice per problem code; without an acting agent, advise to name one."""
    advice = dict(ADVICE)
    if acting_agent.id is None and acting_agent.name is None:
        advice["agent_not_found"] = NO_AGENT_NAMED
    return advice


def agent_id_of(api: ApiClient, text: str | None) -> str:
    """Return the id of the agent with this id or name, by default of the acting agent."""
    from quorate.client import requests

    acting_agent = agent_ref(text if text is not None else api.service.agent)
    if acting_agent.id is not None:
        return acting_agent.id
    if acting_agent.name is not None:
        return _id_by_name(api, acting_agent.name)
    own = api.call(requests.get_own_key())
    if own.agent_id is None:
        raise click.UsageError(NO_AGENT_NAMED)
    return own.agent_id


def _id_by_name(api: ApiClient, name: str) -> str:
    known = names_by_id(api) | names_by_id(api, "deregistered")
    for agent_id, one in known.items():
        if one.lower() == name.lower():
            return agent_id
    raise Failure(f"Agent {name} not found", NOT_FOUND, ADVICE["agent_not_found"])


def names_by_id(api: ApiClient, status: "AgentStatus | None" = None) -> dict[str, str]:
    """Return agent names by id, for tables."""
    found = all_agents(api, LIST_LIMIT_MAX, status, with_counts=False)
    return {agent.id: agent.name for agent in found}


def print_lines(lines: list[str]) -> None:
    for one in lines:
        print_line(one)
