"""`quorate quotas`: how much of its quotas a tenant or an agent has used."""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.api import open_api
from quorate.cli.options import json_option, service_options
from quorate.cli.output.console import format_time, print_json, print_line, print_table
from quorate.cli.output.errors import EXIT_CODES

if TYPE_CHECKING:
    from quorate.cli.connection.resolve import TargetSources
    from quorate.contracts.identity.quotas import QuotaInfo


@click.command(
    epilog="""
\b
Examples:
  quorate quotas
  quorate quotas --json
"""
    + EXIT_CODES
)
@click.option(
    "--agent-id",
    allow_from_autoenv=False,
    help="Add the quotas of this agent. [default: the agent of an agent key]",
)
@service_options
@json_option
def quotas(sources: "TargetSources", agent_id: str | None, as_json: bool) -> None:
    """Show the quotas of the tenant, and how much of each is used."""
    from quorate.client import requests

    with open_api(sources) as api:
        found = api.call(requests.get_quotas(agent_id))
    if as_json:
        print_json(found.raw)
        return
    columns = ("quota", "used", "limit", "used of it")
    print_table(f"Quotas of {found.tenant_id}", columns, [_row(one) for one in found.quotas])
    resets = [one.resets_at for one in found.quotas if one.resets_at is not None]
    if resets:
        print_line(f"The quotas of a day are reset at {format_time(resets[0])}.")


def _row(quota: "QuotaInfo") -> tuple[str, ...]:
    limit = "none" if quota.limit is None else f"{quota.limit:,}"
    share = "" if not quota.limit else f"{quota.used / quota.limit:.1%}"
    return (quota.quota, f"{quota.used:,}", limit, share)
