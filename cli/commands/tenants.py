"""`quorate tenants`: create, list, suspend and pause tenants, and set limits; for operators."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from quorate.cli.commands.agents import print_lines
from quorate.cli.commands.keys import reason_option
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import (
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
from quorate.cli.output.errors import ADVICE, EXIT_CODES, OPERATOR_ADVICE
from quorate.domain.identity.tenants import LIMITS

if TYPE_CHECKING:
    from quorate.client.request_builder import Request
    from quorate.contracts.identity.tenants import TenantInfo


@click.command(
    epilog="""
\b
Examples:
  quorate tenants create acme
  quorate keys issue --as-operator --tenant acme --role tenant --save-as acme
"""
    + EXIT_CODES
)
@click.argument("tenant_id")
@service_options
@json_option
@quiet_option
def create(sources: TargetSources, tenant_id: str, as_json: bool, quiet: bool) -> None:
    """Create the tenant TENANT_ID.

    Needs the admin key: QUORATE_ADMIN_KEY, or the one in the local credentials.json.
    """
    from quorate.client import requests

    with _open_as_operator(sources) as api:
        found = api.call(requests.create_tenant(tenant_id))
    if quiet:
        print_line(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        print_details(f"Created tenant {found.id}.", {"created": format_time(found.created_at)})
        print_hint("Next, issue a key:")
        print_hint(
            f"  quorate keys issue --as-operator --tenant {found.id} --role tenant "
            f"--save-as {found.id}"
        )


@click.command(
    "list",
    epilog="""
\b
Examples:
  quorate tenants list
  quorate tenants list --json
"""
    + EXIT_CODES,
)
@service_options
@limit_option
@json_option
@quiet_option
@as_of_option
def list_tenants(sources: TargetSources, limit: int, as_json: bool, quiet: bool) -> None:
    """List the tenants with their status and their own limits. Needs the admin key."""
    from quorate.client import requests

    with _open_as_operator(sources) as api:
        found = api.list_all(
            lambda after, length: requests.list_tenants(after=after, limit=length), limit
        )
    if quiet:
        print_lines([tenant.id for tenant in found])
    elif as_json:
        print_json([tenant.raw for tenant in found])
    else:
        columns = ("tenant", "status", "created (UTC)", "own limits")
        print_table("Tenants", columns, [_row(tenant) for tenant in found])


@click.command(
    epilog="""
\b
Example:
  quorate tenants get acme
"""
    + EXIT_CODES
)
@click.argument("tenant_id")
@service_options
@json_option
@as_of_option
def get(sources: TargetSources, tenant_id: str, as_json: bool) -> None:
    """Show the tenant TENANT_ID. Needs the admin key."""
    from quorate.client import requests

    with _open_as_operator(sources) as api:
        found = api.call(requests.get_tenant(tenant_id))
    _print(f"Tenant {found.id} is {_status(found)}.", found, as_json=as_json)


@click.command(
    epilog="""
\b
Example:
  quorate tenants suspend acme
"""
    + EXIT_CODES
)
@click.argument("tenant_id")
@reason_option
@service_options
@json_option
@quiet_option
def suspend(
    sources: TargetSources, tenant_id: str, reason: str | None, as_json: bool, quiet: bool
) -> None:
    """Suspend the tenant TENANT_ID: its keys are rejected and its connections end.

    Its agents cannot renew their leases meanwhile, so the leases expire. Needs the admin key.
    """
    from quorate.client import requests

    with _open_as_operator(sources) as api:
        found = api.call(requests.suspend_tenant(tenant_id, reason=reason))
    _print(f"Suspended tenant {found.id}.", found, as_json=as_json, quiet=quiet)


@click.command(
    epilog="""
\b
Example:
  quorate tenants resume acme
"""
    + EXIT_CODES
)
@click.argument("tenant_id")
@reason_option
@service_options
@json_option
@quiet_option
def resume(
    sources: TargetSources, tenant_id: str, reason: str | None, as_json: bool, quiet: bool
) -> None:
    """Resume the suspended tenant TENANT_ID. Needs the admin key."""
    from quorate.client import requests

    with _open_as_operator(sources) as api:
        found = api.call(requests.resume_tenant(tenant_id, reason=reason))
    _print(f"Resumed tenant {found.id}.", found, as_json=as_json, quiet=quiet)


def _pause_tenant(tenant_id: str, reason: str) -> "Request[TenantInfo]":
    from quorate.client import requests

    return requests.pause_tenant(tenant_id, reason)


def _unpause_tenant(tenant_id: str, reason: str) -> "Request[TenantInfo]":
    from quorate.client import requests

    return requests.unpause_tenant(tenant_id, reason)


def _pausing(
    name: str,
    done: str,
    effect: str,
    request: Callable[[str, str], "Request[TenantInfo]"],
    *,
    example: str,
    help_text: str,
) -> click.Command:
    """Make one of the two commands; ``effect`` says what happens, before the question."""
    epilog = f"\n\b\nExample:\n  quorate tenants {example}\n{EXIT_CODES}"

    @click.command(name, help=help_text, epilog=epilog)
    @click.argument("tenant_id")
    @click.option("--reason", required=True, help="Why, for the event log.")
    @click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
    @click.option("--as-tenant", is_flag=True, help="Use the key of the tenant, not the admin key.")
    @service_options
    @json_option
    @quiet_option
    def command(  # noqa: PLR0917 - click passes options as arguments.
        sources: TargetSources,
        tenant_id: str,
        reason: str,
        yes: bool,
        as_tenant: bool,
        as_json: bool,
        quiet: bool,
    ) -> None:
        if not yes:
            click.echo(effect.format(id=tenant_id), err=True)
            click.confirm("Continue?", abort=True, err=True)
        with _open_as_operator(sources, as_tenant=as_tenant) as api:
            found = api.call(request(tenant_id, reason))
        _print(f"{done} tenant {found.id}.", found, as_json=as_json, quiet=quiet)

    return command


pause = _pausing(
    "pause",
    "Paused",
    "The tenant {id} becomes read only: commands of its keys are rejected until it is unpaused. "
    "Its leases, votes and tasks reach their deadlines.",
    _pause_tenant,
    example='pause acme --yes --reason "Its agents repeat themselves"',
    help_text="""Pause the tenant TENANT_ID: its keys read, and change nothing.

    Heartbeats, releases and the actions of operators are accepted. Needs the admin key, or with
    --as-tenant a tenant key.
    """,
)
unpause = _pausing(
    "unpause",
    "Unpaused",
    "The tenant {id} accepts commands again, and schedules that are late fire.",
    _unpause_tenant,
    example='unpause acme --yes --reason "The prompt is corrected"',
    help_text="""Unpause the tenant TENANT_ID: its keys may change things again.

    Schedules that were due meanwhile fire as after an outage. Needs the admin key, or with
    --as-tenant a tenant key.
    """,
)


def _parse_limits(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, int]:
    limits = {}
    for one in given:
        name, _, number = one.partition("=")
        name = name.replace("-", "_")
        if name not in LIMITS:
            raise click.BadParameter(f"{one}: the names are {', '.join(LIMITS)}.")
        if not (number.isascii() and number.isdigit()):
            raise click.BadParameter(f"{one} is not NAME=NUMBER with a whole number from 0.")
        limits[name] = int(number)
    return limits


@click.command(
    "set-limits",
    epilog="""
\b
Examples:
  quorate tenants set-limits acme events_per_day=1000000 agents=500
  quorate tenants set-limits acme
"""
    + EXIT_CODES,
)
@click.argument("tenant_id")
@click.argument("limits", nargs=-1, metavar="[NAME=NUMBER]...", callback=_parse_limits)
@service_options
@json_option
@quiet_option
def set_limits(
    sources: TargetSources, tenant_id: str, limits: dict[str, int], as_json: bool, quiet: bool
) -> None:
    """Replace the limits of the tenant TENANT_ID; limits without a value are the service's.

    NAME is a quota or a rate of `quorate serve`, such as events_per_day or rate_per_key; 0 means no
    limit. Needs the admin key.
    """
    from quorate.client import requests

    with _open_as_operator(sources) as api:
        found = api.call(requests.set_tenant_limits(tenant_id, limits))
    _print(f"Set the limits of tenant {found.id}.", found, as_json=as_json, quiet=quiet)


@contextmanager
def _open_as_operator(sources: TargetSources, *, as_tenant: bool = False) -> Iterator[ApiClient]:
    service = resolve_target(sources, as_operator=not as_tenant)
    advice = ADVICE if as_tenant else OPERATOR_ADVICE
    with open_api(sources, service, advice=advice) as api:
        yield api


def _row(tenant: "TenantInfo") -> tuple[str, ...]:
    return (tenant.id, _status(tenant), format_table_time(tenant.created_at), _limits_text(tenant))


def _status(tenant: "TenantInfo") -> str:
    if tenant.paused_at is None:
        return tenant.status
    return "paused" if tenant.status == "active" else f"{tenant.status}, paused"


def _print(headline: str, tenant: "TenantInfo", *, as_json: bool, quiet: bool = False) -> None:
    if quiet:
        print_line(tenant.id)
        return
    if as_json:
        print_json(tenant.raw)
        return
    details = {"created": format_time(tenant.created_at)}
    if tenant.suspended_at is not None:
        details["suspended"] = format_time(tenant.suspended_at)
    if tenant.paused_at is not None:
        details["paused"] = format_time(tenant.paused_at)
    print_details(headline, details | {"own limits": _limits_text(tenant)})


def _limits_text(tenant: "TenantInfo") -> str:
    own = tenant.limits.model_dump(exclude_none=True)
    return ", ".join(f"{name}={limit}" for name, limit in own.items()) or "none"
