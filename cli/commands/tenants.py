"""`quorate tenants`: for whoever runs the service."""

import click

from quorate.cli.connection.api import calling
from quorate.cli.connection.resolve import TargetSources, called_service
from quorate.cli.options import json_option, quiet_option, service_options
from quorate.cli.output.console import clock, print_facts, print_json, remark, say
from quorate.cli.output.errors import EXIT_CODES, OPERATORS_ADVICE


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
def create(where: TargetSources, tenant_id: str, as_json: bool, quiet: bool) -> None:
    """Create the tenant TENANT_ID.

    This takes the operator's key: from QUORATE_ADMIN_KEY, or as the local service wrote it down.
    """
    from quorate.client import requests

    service = called_service(where, as_operator=True)
    with calling(where, service, advice=OPERATORS_ADVICE) as line:
        found = line.ask(requests.create_tenant(tenant_id))
    if quiet:
        say(found.id)
    elif as_json:
        print_json(found.raw)
    else:
        print_facts(f"Tenant {found.id} exists.", {"since": clock(found.created_at)})
        remark(
            "It needs a key: quorate keys issue --as-operator "
            f"--tenant {found.id} --role tenant --save-as {found.id}"
        )
