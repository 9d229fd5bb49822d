"""`quorate mcp`: serve the tools of agents to an MCP client over standard input and output."""

import click

from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import service_options
from quorate.cli.output.errors import EXIT_CODES, Failure
from quorate.mcp_server.profile_names import COORDINATION, PROFILE_NAMES


@click.command(
    epilog="""
A client starts this command itself. Most clients read such a configuration:

\b
{"mcpServers": {"quorate": {
 "command": "quorate", "args": ["mcp"],
 "env": {"QUORATE_URL": "http://127.0.0.1:8420",
 "QUORATE_API_KEY": "qk_..."}}}}

\b
Examples:
  quorate mcp --help
  quorate mcp --profile sessions < /dev/null

The same tools are available without this command at URL/mcp of the service, with the header
Authorization: Bearer KEY.
"""
    + EXIT_CODES
)
@click.option(
    "--profile",
    type=click.Choice(PROFILE_NAMES),
    default=COORDINATION,
    show_default=True,
    help="The tools to offer: coordination (leases, send gate, votes, mail) or sessions.",
)
@click.option(
    "--heartbeat/--no-heartbeat",
    default=False,
    show_default=True,
    help="Send heartbeats for each agent that registers, while this command runs. Then an agent "
    "counts as active as long as its client runs, even if it does nothing.",
)
@service_options
def mcp(sources: TargetSources, profile: str, heartbeat: bool) -> None:
    """Serve tools for agents to an MCP client, over standard input and output.

    The service, the key and the acting agent are found as by other commands: options, environment,
    context, credentials of a local service. Log lines go to standard error.
    """
    service = resolve_target(sources)
    try:
        from quorate.cli.mcp.process import run
    except ModuleNotFoundError as error:
        raise Failure(
            f"MCP needs another package: {error.name}", hint="pip install 'quorate[mcp]'"
        ) from error
    run(service.url, service.api_key, service.agent, profile=profile, heartbeat=heartbeat)
