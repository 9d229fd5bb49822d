"""`quorate console`: open the console in a browser, logged in by a link that works once."""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import service_options
from quorate.cli.output.errors import EXIT_CODES

if TYPE_CHECKING:
    from quorate.cli.connection.resolve import Service

LINKS_PATH = "/console/links"


@click.command(
    epilog="""
\b
Examples:
  quorate console
  quorate console --print
"""
    + EXIT_CODES
)
@service_options
@click.option("--print", "only_print", is_flag=True, help="Print the link, and open no browser.")
def console(sources: TargetSources, only_print: bool) -> None:
    """Open the console in a browser, logged in with your key.

    The link works once, within a minute.
    """
    target = resolve_target(sources)
    with open_api(sources, target):
        link = _create_link(target)
    if only_print or click.launch(link) != 0:
        click.echo(link)


def _create_link(target: "Service") -> str:
    import orjson

    from quorate.cli.operations.transport import fetch
    from quorate.client.request_builder import request_for
    from quorate.contracts.health import LIVE
    from quorate.domain.shared.records import changed

    request = changed(request_for(LIVE), method="POST", path=LINKS_PATH)
    return target.url.rstrip("/") + str(orjson.loads(fetch(target, request))["path"])
