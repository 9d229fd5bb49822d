"""`quorate console`: open the console in a browser, logged in by a link that works once."""

from urllib.parse import urljoin

import click

from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import service_options
from quorate.cli.output.errors import EXIT_CODES, Failure

LINKS_PATH = "/console/links"
TIMEOUT_SECONDS = 10.0
_CREATED = 201


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
    link = urljoin(target.url, _create_link(sources))
    if only_print or not click.launch(link) == 0:
        click.echo(link)
