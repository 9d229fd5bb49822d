"""`quorate agents config` and `update-config`: what an agent keeps with the service."""

from typing import Any

import click

from quorate.cli.commands.agents import agent_id_of
from quorate.cli.connection.api import calling
from quorate.cli.connection.resolve import TargetSources
from quorate.cli.options import json_option, service_options
from quorate.cli.output.console import print_facts, print_json, remark
from quorate.cli.output.errors import EXIT_CODES


def _object(_ctx: click.Context, _param: click.Parameter, text: str) -> dict[str, Any]:
    import orjson

    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"it is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise click.BadParameter("it must be a JSON object, as in '{\"humanizer_enabled\": true}'.")
    return found


@click.command(
    epilog="""
\b
Examples:
  quorate agents config outreach-agent
  quorate agents config "$(quorate agents show outreach-agent --quiet)" --json
"""
    + EXIT_CODES
)
@click.argument("agent_id", required=False)
@service_options
@json_option
def config(where: TargetSources, agent_id: str | None, as_json: bool) -> None:
    """Show the settings of the agent AGENT_ID (an id or a name), or of the one you act as."""
    from quorate.client import requests

    with calling(where) as line:
        found = line.ask(requests.get_config(agent_id_of(line, agent_id)))
    _print("Settings:", found, as_json)


@click.command(
    "update-config",
    epilog="""
\b
Example:
  quorate agents update-config outreach-agent \\
    --config '{"humanizer_enabled": true, "humanizer_style": "professional"}'
"""
    + EXIT_CODES,
)
@click.argument("agent_id", required=False)
@click.option(
    "--config", "settings", required=True, callback=_object, help="All settings, as a JSON object."
)
@service_options
@json_option
def update_config(
    where: TargetSources, agent_id: str | None, settings: dict[str, Any], as_json: bool
) -> None:
    """Replace the settings of the agent AGENT_ID (an id or a name), or of the one you act as.

    There are humanizer_enabled (true or false), humanizer_style and humanizer_provider (text).
    What is left out is unset.
    """
    from quorate.client import requests

    with calling(where) as line:
        found = line.ask(requests.put_config(agent_id_of(line, agent_id), settings))
    if unknown := settings.keys() - found.keys():
        remark(f"Left out, for they are no settings: {', '.join(sorted(unknown))}.")
    _print("Settings now:", found, as_json)


def _print(headline: str, found: dict[str, bool | str], as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found:
        print_facts(headline, {name: _as_written(found[name]) for name in sorted(found)})
    else:
        print_facts("No settings.", {})


def _as_written(value: bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else value
