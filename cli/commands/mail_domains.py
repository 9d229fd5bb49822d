"""`quorate tenants mail-domain`: show and set the mail domain of a tenant; for operators."""

import click

from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import json_option, quiet_option, service_options
from quorate.cli.output.console import print_details, print_json, print_line
from quorate.cli.output.errors import EXIT_CODES, OPERATOR_ADVICE


@click.command(
    "mail-domain",
    epilog="""
\b
Examples:
  quorate tenants mail-domain acme
  quorate tenants mail-domain acme agents.acme.example
  quorate tenants mail-domain acme --default
"""
    + EXIT_CODES,
)
@click.argument("tenant_id")
@click.argument("domain", required=False)
@click.option("--default", "is_default", is_flag=True, help="Use the default domain again.")
@service_options
@json_option
@quiet_option
def mail_domain(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    tenant_id: str,
    domain: str | None,
    is_default: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show the mail domain of the tenant TENANT_ID, or set it to DOMAIN. Needs the admin key."""
    from quorate.client import requests

    if is_default and domain is not None:
        raise click.UsageError("--default does not go with DOMAIN.")
    request = requests.get_mail_domain(tenant_id)
    if is_default or domain is not None:
        request = requests.set_mail_domain(tenant_id, domain)
    service = resolve_target(sources, as_operator=True)
    with open_api(sources, service, advice=OPERATOR_ADVICE) as api:
        found = api.call(request)
    if quiet:
        print_line(found.mail_domain)
    elif as_json:
        print_json(found.raw)
    else:
        print_details(f"Tenant {found.tenant_id}.", {"mail domain": found.mail_domain})
