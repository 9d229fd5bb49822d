"""`quorate keys rotate`: replace an API key by a new one."""

import click

from quorate.cli.commands.keys import (
    expires_in_option,
    key_advice,
    operator_option,
    require_new_context,
    save_as_option,
    show_issued,
    whole_seconds,
)
from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import json_option, service_options
from quorate.cli.output.errors import EXIT_CODES
from quorate.cli.parameter_types import Duration
from quorate.domain.identity.api_keys import OVERLAP_SECONDS_MAX
from quorate.domain.identity.key_format import read_key


@click.command(
    epilog="""
\b
Example:
  key=$(quorate keys issue --role auditor --quiet)
  quorate keys rotate "$key" --overlap 1h --expires-in 90d
"""
    + EXIT_CODES
)
@click.argument("key")
@click.option(
    "--overlap",
    type=Duration("s", 0, OVERLAP_SECONDS_MAX),
    default="0",
    help="How long KEY stays valid, e.g. 1h; a plain number means seconds. "
    "[default: it is revoked at once]",
)
@expires_in_option
@operator_option
@click.option("-q", "--quiet", is_flag=True, help="Print only the new key.")
@save_as_option
@service_options
@json_option
def rotate(  # noqa: PLR0917 - click passes options as arguments.
    sources: TargetSources,
    key: str,
    overlap: float,
    expires_in: float | None,
    as_operator: bool,
    quiet: bool,
    save_as: str | None,
    as_json: bool,
) -> None:
    """Replace KEY (its id or the full key) by a new key with the same role and agent.

    The new key is shown only once. It does not have the expiry of KEY: see --expires-in.
    """
    from quorate.client import requests

    if save_as is not None:
        require_new_context(save_as)
    key_id, _ = read_key(key) or (key, "")
    service = resolve_target(sources, as_operator=as_operator)
    request = requests.rotate_key(
        key_id, overlap_seconds=round(overlap), expires_in_seconds=whole_seconds(expires_in)
    )
    with open_api(sources, service, advice=key_advice(as_operator=as_operator)) as api:
        issued = api.call(request)
    show_issued(issued, service, save_as=save_as, quiet=quiet, as_json=as_json)
