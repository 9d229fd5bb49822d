"""`quorate tenants`: create tenants; for operators."""

import click

from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import json_option, quiet_option, service_options
from quorate.cli.output.console import (
    format_time,
    print_details,
    print_hint,
    print_json,
    print_line,
)
from quorate.cli.output.errors import EXIT_CODES, OPERATOR_ADVICE


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

    service = resolve_target(sources, as_operator=True)
    with open_api(sources, service, advice=OPERATOR_ADVICE) as api:
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
