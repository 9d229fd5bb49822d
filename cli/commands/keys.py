"""`quorate keys`: issue, list, get and revoke API keys. The rotation has its own module.

A new key is shown once, or stored in a context and not shown.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import print_lines
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import Service, TargetSources, resolve_target
from quorate.cli.options import (
    LIST_LIMIT_MAX,
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
from quorate.cli.output.errors import ADVICE, EXIT_CODES, NOT_FOUND, OPERATOR_ADVICE, Failure
from quorate.cli.parameter_types import Duration
from quorate.domain.identity.api_keys import EXPIRY_SECONDS_MAX, EXPIRY_SECONDS_MIN
from quorate.domain.identity.key_format import read_key
from quorate.domain.identity.principals import ROLES, Role
from quorate.runtime.url_redaction import redact_url

if TYPE_CHECKING:
    from quorate.contracts.identity.api_keys import IssuedKeyInfo, KeyInfo

operator_option = click.option(
    "--as-operator",
    is_flag=True,
    help="Use the admin key: QUORATE_ADMIN_KEY, or the one in the local credentials.json.",
)
reason_option = click.option("--reason", help="Why, for the event log.")
tenant_option = click.option("--tenant", help="Tenant id; only with the admin key.")
expires_in_option = click.option(
    "--expires-in",
    type=Duration("s", EXPIRY_SECONDS_MIN, EXPIRY_SECONDS_MAX),
    help="The new key expires after this time, e.g. 12h or 90d; a plain number means seconds. "
    "[default: never]",
)
save_as_option = click.option(
    "--save-as", metavar="CONTEXT", help="Store the key in a new context and do not print it."
)


@click.command(
    epilog="""
\b
Examples:
  quorate keys issue --role auditor --expires-in 90d
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
    "--role",
    type=click.Choice(ROLES),
    required=True,
    help="What the key may do: tenant = act for every agent, agent = act for one agent, "
    "auditor = read, mail = deliver mail.",
)
@click.option("--agent-name", allow_from_autoenv=False, help="The agent; only with --role agent.")
@tenant_option
@operator_option
@click.option("-q", "--quiet", is_flag=True, help="Print only the key.")
@expires_in_option
@save_as_option
@click.option(
    "--preset",
    allow_from_autoenv=False,
    help="Preset whose policy the tools of this key obey; only with --role agent.",
)
@service_options
@json_option
def issue(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    role: Role,
    agent_name: str | None,
    tenant: str | None,
    as_operator: bool,
    quiet: bool,
    expires_in: float | None,
    save_as: str | None,
    preset: str | None,
    as_json: bool,
) -> None:
    """Issue an API key; it is shown only once."""
    from quorate.client import requests

    if (role == "agent") != (agent_name is not None):
        raise click.UsageError("--role agent requires --agent-name, and no other role allows it.")
    if preset is not None and role != "agent":
        raise click.UsageError("--preset goes with --role agent only.")
    if as_operator and tenant is None:
        raise click.UsageError("--as-operator requires --tenant.")
    if save_as is not None:
        require_new_context(save_as)
    service = resolve_target(sources, as_operator=as_operator)
    with open_api(sources, service, advice=key_advice(as_operator=as_operator)) as api:
        request = requests.issue_key(
            role,
            agent_name,
            tenant,
            expires_in_seconds=whole_seconds(expires_in),
            preset=preset,
        )
        issued = api.call(request)
    show_issued(issued, service, save_as=save_as, quiet=quiet, as_json=as_json)


def whole_seconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def show_issued(
    issued: "IssuedKeyInfo", service: Service, *, save_as: str | None, quiet: bool, as_json: bool
) -> None:
    """Print a new key, or store it in a context; raise Failure if its response was lost."""
    from quorate.contracts.identity.api_keys import IssuedKeyInfo

    if issued.key is None:  # The first response was lost; the key is sent only once.
        raise Failure(
            f"Key {issued.id} was issued, but the response with the key was lost",
            hint=f"revoke it with `quorate keys revoke {issued.id}`, then issue another key",
        )
    if save_as is not None:
        _save(save_as, service, issued.key)
        issued = IssuedKeyInfo.from_json({**issued.raw, "key": None})
    if quiet:
        print_line(issued.key or save_as or "")
    elif as_json:
        print_json(issued.raw)
    else:
        _print_issued(issued, save_as)


def require_new_context(name: str) -> None:
    """Check the context name before the key is issued; a key that cannot be stored is lost."""
    from quorate.cli.connection.profiles import contexts, require_valid_name

    if require_valid_name(name) in contexts().known:
        raise Failure(
            f"Context {name} already exists", hint=f"remove it with `quorate context remove {name}`"
        )


def _save(name: str, service: Service, key: str) -> None:
    from quorate.cli.connection.profiles import Context, update_contexts

    profile = Context(url=service.url, api_key=key, nats_url=service.nats_url)
    update_contexts(lambda known: known.with_context(name, profile))


def _print_issued(issued: "IssuedKeyInfo", save_as: str | None) -> None:
    whose = f" for {issued.agent_name}" if issued.agent_name else ""
    details = {"id": issued.id, "tenant": issued.tenant_id, **_expiry(issued)}
    if save_as is None and issued.key is not None:
        details["key"] = issued.key
    print_details(f"Issued {issued.role} key{whose}.", details)
    if save_as is None:
        print_hint("Store the key now: it is not shown again.")
    else:
        print_hint(f"Stored the key in context {save_as}: use it with --context {save_as}.")


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
@as_of_option
def list_keys(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    tenant: str | None,
    as_operator: bool,
    limit: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """List API keys without their secrets."""
    service = resolve_target(sources, as_operator=as_operator)
    with open_api(sources, service, advice=key_advice(as_operator=as_operator)) as api:
        found = _all(api, tenant, limit)
    if quiet:
        print_lines([key.id for key in found])
    elif as_json:
        print_json([key.raw for key in found])
    else:
        columns = ("role", "agent", "status", "issued (UTC)", "expires (UTC)", "id")
        print_table("Keys", columns, [_row(key) for key in found], wide=())


def _all(api: ApiClient, tenant: str | None, limit: int) -> "list[KeyInfo]":
    from quorate.client import requests

    return api.list_all(
        lambda after, length: requests.list_keys(tenant_id=tenant, after=after, limit=length),
        limit,
    )


@click.command(
    "get",
    epilog="""
\b
Example:
  key=$(quorate keys issue --role auditor --quiet)
  quorate keys get "$key"
"""
    + EXIT_CODES,
)
@click.argument("key")
@tenant_option
@operator_option
@service_options
@json_option
@quiet_option
@as_of_option
def get(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    key: str,
    tenant: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show KEY (its id or the full key) without its secret."""
    key_id, _ = read_key(key) or (key, "")
    service = resolve_target(sources, as_operator=as_operator)
    with open_api(sources, service, advice=key_advice(as_operator=as_operator)) as api:
        found = next((one for one in _all(api, tenant, LIST_LIMIT_MAX) if one.id == key_id), None)
    if found is None:
        raise Failure(f"Key {key_id} not found", NOT_FOUND, ADVICE["key_not_found"])
    if quiet:
        print_line(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        whose = f" of {found.agent_name}" if found.agent_name else ""
        issued = format_time(found.created_at)
        details = {"tenant": found.tenant_id, "issued": issued, **_expiry(found)}
        if found.revoked_at is not None:
            details["revoked"] = format_time(found.revoked_at)
        print_details(
            f"Key {found.id} is {_status(found)}: a key with role {found.role}{whose}.", details
        )


def _row(key: "KeyInfo") -> tuple[str, ...]:
    issued = format_table_time(key.created_at)
    expires = "" if key.expires_at is None else format_table_time(key.expires_at)
    return (key.role, key.agent_name or "", _status(key), issued, expires, key.id)


def _status(key: "KeyInfo") -> str:
    """Return the status; an expiry is compared with the clock of this machine."""
    if key.revoked_at is not None:
        return "revoked"
    has_expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return "expired" if has_expired else "active"


def _expiry(key: "KeyInfo") -> dict[str, str]:
    return {} if key.expires_at is None else {"expires": format_time(key.expires_at)}


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
@click.option(
    "--end-agent",
    is_flag=True,
    help="Also deregister the agent of the key, unless it has another key. Without this option, "
    "its leases block and its votes count until its timeout.",
)
@reason_option
@operator_option
@service_options
@json_option
@quiet_option
def revoke(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    key: str,
    end_agent: bool,
    reason: str | None,
    as_operator: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Revoke KEY (its id or the full key); it is rejected within one second, permanently."""
    from quorate.client import requests

    key_id, _ = read_key(key) or (key, "")
    service = resolve_target(sources, as_operator=as_operator)
    with open_api(sources, service, advice=key_advice(as_operator=as_operator)) as api:
        revoked = api.call(requests.revoke_key(key_id, end_agent=end_agent, reason=reason))
    if quiet:
        print_line(key_id)
        return
    if as_json:
        print_json(revoked.raw)
        return
    print_line(f"Revoked {key_id}.")
    if revoked.agent_ended is not None:
        kept = "The agent has another key and stays registered."
        print_line("Its agent is not registered any more." if revoked.agent_ended else kept)
    elif end_agent:
        print_line("The key belongs to no agent.")


@click.command(
    "self",
    epilog="""
\b
Examples:
  quorate whoami
  quorate keys self --json
"""
    + EXIT_CODES,
)
@operator_option
@service_options
@json_option
@quiet_option
def own(sources: TargetSources, as_operator: bool, as_json: bool, quiet: bool) -> None:
    """Show the current API key: its role, its agent and its source."""
    from quorate.client import requests

    service = resolve_target(sources, as_operator=as_operator)
    with open_api(sources, service) as api:
        key = api.call(requests.get_own_key())
    if quiet:
        print_line(key.id)
    elif as_json:
        print_json(key.raw)
    else:
        _print_own(key, service)


def _print_own(key: "KeyInfo", service: Service) -> None:
    may = {
        "admin": "is the admin key: it manages tenants and all keys",
        "tenant": f"may act for every agent of tenant {key.tenant_id}",
        "agent": f"may act only for agent {key.agent_name} of tenant {key.tenant_id}",
        "auditor": f"may read the event log of tenant {key.tenant_id}",
        "mail": f"may only deliver mail to agents of tenant {key.tenant_id}",
    }
    details = {
        "service": redact_url(service.url),
        "key from": service.key_from,
        "issued": format_time(key.created_at),
        **_expiry(key),
    }
    if key.agent_id:
        details = {"agent id": key.agent_id, **details}
    print_details(f"Key {key.id} {may[key.role]}.", details)


def key_advice(*, as_operator: bool) -> dict[str, str]:
    return dict(OPERATOR_ADVICE if as_operator else ADVICE)
