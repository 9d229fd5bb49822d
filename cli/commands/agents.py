"""`quorate agents`: being registered, staying alive, and who else is there."""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.api import ApiClient, calling
from quorate.cli.connection.resolve import Service, TargetSources, called_service, ref, who
from quorate.cli.options import (
    LISTED_MAX,
    agent_options,
    json_option,
    limit_option,
    quiet_option,
    service_options,
)
from quorate.cli.output.console import (
    clock,
    print_facts,
    print_json,
    print_table,
    remark,
    say,
    table_clock,
)
from quorate.cli.output.errors import ADVICE, EXIT_CODES, NOT_FOUND, Failure

if TYPE_CHECKING:
    from quorate.client.results import AgentInfo
    from quorate.domain.identity.agents import AgentRef

ROLE_DEFAULT = "general"
NAME_THE_AGENT = (
    "none was named; give --agent-name, QUORATE_AGENT or a context, or an agent's own key"
)


@click.command(
    epilog="""
\b
Examples:
  quorate agents register --agent-name outreach-agent --agent-role outbound
  quorate agents register --agent-name outreach-agent --json
"""
    + EXIT_CODES
)
@click.option("--agent-name", allow_from_autoenv=False, help="Unique per tenant; required.")
@click.option("--agent-role", default=ROLE_DEFAULT, show_default=True, help="As in outbound.")
@service_options
@json_option
@quiet_option
def register(
    where: TargetSources, agent_name: str | None, agent_role: str, as_json: bool, quiet: bool
) -> None:
    """Register an agent, or update it: the same name keeps its id and its leases.

    With an agent's own key, and where QUORATE_AGENT or a context names it, --agent-name may be
    left out. No later command acts as this agent because of it: say so with QUORATE_AGENT or a
    context.
    """
    from quorate.client import requests

    service = called_service(where)
    name = agent_name or who(service, None, None).name
    advice = {**ADVICE, "invalid_request": "see quorate agents register --help"}
    if name is None:
        advice["invalid_request"] = NAME_THE_AGENT
    with calling(where, service, advice=advice) as line:
        agent = line.ask(requests.register(name, agent_role))
    if quiet:
        say(agent.id)
    elif as_json:
        print_json(agent.raw)
    else:
        again = f" again, for the {agent.incarnation}. time" if agent.incarnation > 1 else ""
        _print(f"{agent.name} is registered{again}.", agent)
        _tell_how_to_act_as(agent, service)


def _tell_how_to_act_as(agent: "AgentInfo", service: Service) -> None:
    if who(service, None, None).name != agent.name:
        remark(f"To act as it without naming it: export QUORATE_AGENT={agent.name}")


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
def heartbeat(
    where: TargetSources, agent_id: str | None, agent_name: str | None, as_json: bool
) -> None:
    """Say that an agent is alive; one that falls silent loses its leases.

    An agent's own key says who it is: then no options are needed.
    """
    from quorate.client import requests

    service = called_service(where)
    meant = who(service, agent_id, agent_name)
    with calling(where, service, advice=advice_for(meant)) as line:
        beat = line.ask(requests.heartbeat(meant))
    if as_json:
        print_json(beat.raw)
    else:
        name = meant.name or beat.agent_id
        say(f"{name} is active until {clock(beat.active_until)}.")


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate agents list
  quorate agents list --limit 10 --json
"""
    + EXIT_CODES,
)
@service_options
@limit_option
@json_option
@quiet_option
def list_agents(where: TargetSources, limit: int, as_json: bool, quiet: bool) -> None:
    """List the tenant's agents: who is active, and how many leases each holds."""
    with calling(where) as line:
        found = all_agents(line, limit)
    if quiet:
        say_each([agent.id for agent in found])
    elif as_json:
        print_json([agent.raw for agent in found])
    else:
        columns = ("name", "role", "status", "leases", "last heartbeat (UTC)", "id")
        print_table("Agents", columns, [_row(agent) for agent in found])


def all_agents(line: ApiClient, limit: int) -> "list[AgentInfo]":
    from quorate.client import requests

    return line.listed(
        lambda after, length: requests.list_agents(after=after, limit=length),
        lambda agent: agent.id,
        limit,
    )


def _row(agent: "AgentInfo") -> tuple[str, ...]:
    return (
        agent.name,
        agent.role,
        agent.status,
        str(agent.leases_held),
        table_clock(agent.last_heartbeat),
        agent.id,
    )


@click.command(
    epilog="""
\b
Examples:
  quorate agents show outreach-agent
  quorate agents show outreach-agent --json
"""
    + EXIT_CODES
)
@click.argument("agent", required=False)
@service_options
@json_option
@quiet_option
def show(where: TargetSources, agent: str | None, as_json: bool, quiet: bool) -> None:
    """Show one agent, named by AGENT: a name or an id. Without it, the agent you act as."""
    from quorate.client import requests

    with calling(where) as line:
        found = line.ask(requests.get_agent(agent_id_of(line, agent)))
    if quiet:
        say(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        _print(f"{found.name} is {found.status}.", found)


def _print(headline: str, agent: "AgentInfo") -> None:
    facts = {
        "id": agent.id,
        "role": agent.role,
        "active until": clock(agent.active_until),
        "last heartbeat": clock(agent.last_heartbeat),
        "registered": clock(agent.registered_at),
    }
    if agent.leases_held is not None:
        facts["leases held"] = str(agent.leases_held)
    print_facts(headline, facts)


# -- Which agent ------------------------------------------------------------------


def advice_for(meant: "AgentRef") -> dict[str, str]:
    """What to do when the service does not know who is meant: first of all, name somebody."""
    advice = dict(ADVICE)
    if meant.id is None and meant.name is None:
        advice["agent_not_found"] = NAME_THE_AGENT
    return advice


def agent_id_of(line: ApiClient, text: str | None) -> str:
    """The id of an agent given by id or by name, or else of the one that calls."""
    from quorate.client import requests

    meant = ref(text if text is not None else line.service.agent)
    if meant.id is not None:
        return meant.id
    if meant.name is not None:
        return _id_by_name(line, meant.name)
    own = line.ask(requests.own_key())
    if own.agent_id is None:
        raise Failure(f"Which agent: {NAME_THE_AGENT}")
    return own.agent_id


def _id_by_name(line: ApiClient, name: str) -> str:
    for agent_id, one in names_by_id(line).items():
        if one.lower() == name.lower():
            return agent_id
    raise Failure(f"No such agent: {name}: {ADVICE['agent_not_found']}", NOT_FOUND)


def names_by_id(line: ApiClient) -> dict[str, str]:
    """For tables: a person knows agents by their names."""
    return {agent.id: agent.name for agent in all_agents(line, LISTED_MAX)}


def say_each(lines: list[str]) -> None:
    for one in lines:
        say(one)
