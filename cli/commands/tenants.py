"""`quorate tenants`: create, list, suspend and resume tenants, and set limits; for operators."""

from collections.abc import Iterator
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
from quorate.cli.output.errors import EXIT_CODES, OPERATOR_ADVICE
from quorate.domain.identity.tenants import LIMITS

if TYPE_CHECKING:
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
    _print(f"Tenant {found.id} is {found.status}.", found, as_json=as_json)


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
def _open_as_operator(sources: TargetSources) -> Iterator[ApiClient]:
    service = resolve_target(sources, as_operator=True)
    with open_api(sources, service, advice=OPERATOR_ADVICE) as api:
        yield api


def _row(tenant: "TenantInfo") -> tuple[str, ...]:
    return (tenant.id, tenant.status, format_table_time(tenant.created_at), _limits_text(tenant))


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
    print_details(headline, details | {"own limits": _limits_text(tenant)})


def _limits_text(tenant: "TenantInfo") -> str:
    own = tenant.limits.model_dump(exclude_none=True)
    return ", ".join(f"{name}={limit}" for name, limit in own.items()) or "none"
