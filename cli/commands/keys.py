"""`quorate keys`: who may call.

A key's text is shown once, when it is issued, or goes straight into a context and is not shown.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import say_each
from quorate.cli.connection.api import calling
from quorate.cli.connection.resolve import Service, TargetSources, called_service
from quorate.cli.options import json_option, limit_option, quiet_option, service_options
from quorate.cli.output.console import (
    clock,
    print_facts,
    print_json,
    print_table,
    remark,
    say,
    table_clock,
)
from quorate.cli.output.errors import ADVICE, EXIT_CODES, OPERATORS_ADVICE, Failure
from quorate.domain.identity.api_keys import ROLES, Role, read_key

if TYPE_CHECKING:
    from quorate.client.results import KeyInfo

operator_option = click.option(
    "--as-operator",
    is_flag=True,
    help="With the operator's key: QUORATE_ADMIN_KEY, or the local service's.",
)
tenant_option = click.option("--tenant", help="Which tenant, for operators.")


@click.command(
    epilog="""
\b
Examples:
  quorate keys issue --role auditor
  quorate keys issue --role agent --agent-name retention-agent \\
    --save-as retention
  quorate agents heartbeat --context retention
  export QUORATE_API_KEY=$(quorate keys issue --role agent \\
    --agent-name outreach-agent --quiet)
  quorate agents heartbeat
"""
    + EXIT_CODES
)
@click.option(
    "--role", type=click.Choice(ROLES), required=True, help="agent is bound to one agent."
)
@click.option("--agent-name", allow_from_autoenv=False, help="Whose key: goes with role agent.")
@tenant_option
@operator_option
@click.option("-q", "--quiet", is_flag=True, help="Print the key and nothing else.")
@click.option("--save-as", metavar="CONTEXT", help="Keep the key in a new context; don't print it.")
@service_options
@json_option
def issue(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
    role: Role,
    agent_name: str | None,
    tenant: str | None,
    as_operator: bool,
    quiet: bool,
    save_as: str | None,
    as_json: bool,
) -> None:
    """Issue a key. Its text is shown this once."""
    from quorate.client import requests

    if (role == "agent") != (agent_name is not None):
        raise click.UsageError("--agent-name goes with --role agent, and only with it.")
    if save_as is not None:
        _must_be_new(save_as)
    service = called_service(where, as_operator=as_operator)
    with calling(where, service, advice=_advice(as_operator=as_operator)) as line:
        issued = line.ask(requests.issue_key(role, agent_name, tenant))
    if issued.key is None:  # The first answer got lost, and the text is told once.
        raise Failure(
            f"The key {issued.id} was issued, but its text was lost on the way: "
            f"`quorate keys revoke {issued.id}`, then issue another"
        )
    if save_as is not None:
        _save(save_as, service, issued.key)
        issued = replace(issued, key=None, raw={**issued.raw, "key": None})
    if quiet:
        say(issued.key or save_as or "")
    elif as_json:
        print_json(issued.raw)
    else:
        _print_issued(issued, save_as)


def _must_be_new(name: str) -> None:
    """Asked before a key is issued: one that cannot be kept would be lost."""
    from quorate.cli.connection.profiles import contexts, well_named

    if well_named(name) in contexts().known:
        raise Failure(f"Context {name} exists: `quorate context remove {name}` first")


def _save(name: str, service: Service, key: str) -> None:
    from quorate.cli.connection.profiles import Context, change

    kept = Context(url=service.url, api_key=key, nats_url=service.nats_url)
    change(lambda known: known.with_one(name, kept))


def _print_issued(issued: "KeyInfo", save_as: str | None) -> None:
    whose = f" of {issued.agent_name}" if issued.agent_name else ""
    facts = {"id": issued.id, "tenant": issued.tenant_id}
    if save_as is None and issued.key is not None:
        facts["key"] = issued.key
    print_facts(f"A key was issued: {issued.role}{whose}.", facts)
    if save_as is None:
        remark("Keep it now: its text is not shown again.")
    else:
        remark(f"It is kept in context {save_as}: use it with --context {save_as}.")


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate keys list
  quorate keys list --as-operator --tenant default --json
"""
    + EXIT_CODES,
)
@tenant_option
@operator_option
@service_options
@limit_option
@json_option
@quiet_option
def list_keys(  # noqa: PLR0917 - click hands options over like this.
    where: TargetSources,
    tenant: str | None,
    as_operator: bool,
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List keys, without their secrets."""
    from quorate.client import requests

    service = called_service(where, as_operator=as_operator)
    with calling(where, service, advice=_advice(as_operator=as_operator)) as line:
        found = line.listed(
            lambda after, length: requests.list_keys(tenant_id=tenant, after=after, limit=length),
            lambda key: key.id,
            limit,
        )
    if quiet:
        say_each([key.id for key in found])
    elif as_json:
        print_json([key.raw for key in found])
    else:
        columns = ("role", "agent", "status", "issued (UTC)", "id")
        print_table("Keys", columns, [_row(key) for key in found])


def _row(key: "KeyInfo") -> tuple[str, ...]:
    status = "active" if key.revoked_at is None else "revoked"
    return (key.role, key.agent_name or "", status, table_clock(key.created_at), key.id)


@click.command(
    epilog="""
\b
Example:
  key=$(quorate keys issue --role auditor --quiet)
  quorate keys revoke "$key"
"""
    + EXIT_CODES
)
@click.argument("key")
@operator_option
@service_options
@json_option
def revoke(where: TargetSources, key: str, as_operator: bool, as_json: bool) -> None:
    """Revoke KEY, given by its id or its text: it stops working within a second, for good."""
    from quorate.client import requests

    key_id, _ = read_key(key) or (key, "")
    service = called_service(where, as_operator=as_operator)
    with calling(where, service, advice=_advice(as_operator=as_operator)) as line:
        line.ask(requests.revoke_key(key_id))
    if as_json:
        print_json({"revoked": True})
    else:
        say(f"Revoked {key_id}.")


@click.command(
    "self",
    epilog="""
\b
Examples:
  quorate keys self
  quorate keys self --json
"""
    + EXIT_CODES,
)
@operator_option
@service_options
@json_option
@quiet_option
def own(where: TargetSources, as_operator: bool, as_json: bool, quiet: bool) -> None:
    """Tell whose key it is that you call with, and what it may do."""
    from quorate.client import requests

    service = called_service(where, as_operator=as_operator)
    with calling(where, service) as line:
        key = line.ask(requests.own_key())
    if quiet:
        say(key.id)
    elif as_json:
        print_json(key.raw)
    else:
        _print_own(key, service)


def _print_own(key: "KeyInfo", service: Service) -> None:
    may = {
        "admin": "may do what operators do: tenants and all keys",
        "tenant": f"may act for any agent of tenant {key.tenant_id}",
        "agent": f"acts as {key.agent_name} of tenant {key.tenant_id}, and as nobody else",
        "auditor": f"may read what tenant {key.tenant_id} did",
    }
    facts = {"service": service.url, "key from": service.key_from, "issued": clock(key.created_at)}
    if key.agent_id:
        facts = {"agent id": key.agent_id, **facts}
    print_facts(f"Key {key.id} {may[key.role]}.", facts)


def _advice(*, as_operator: bool) -> dict[str, str]:
    return dict(OPERATORS_ADVICE if as_operator else ADVICE)
