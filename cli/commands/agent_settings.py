"""`quorate agents config` and `update-config`: the configuration of an agent."""

from typing import Any

import click

from quorate.cli.commands.agents import agent_id_of
from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources
from quorate.cli.options import as_of_option, json_option, quiet_option, service_options
from quorate.cli.output.console import print_details, print_hint, print_json, print_line
from quorate.cli.output.errors import EXIT_CODES


def _parse_object(_ctx: click.Context, _param: click.Parameter, text: str) -> dict[str, Any]:
    import orjson

    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"not valid JSON: {error}.") from None
    if not isinstance(found, dict):
        raise click.BadParameter("must be a JSON object, e.g. '{\"humanizer_enabled\": true}'.")
    return found


@click.command(
    epilog="""
\b
Examples:
  quorate agents config outreach-agent
  quorate agents config "$(quorate agents get outreach-agent --quiet)" --json
"""
    + EXIT_CODES
)
@click.argument("agent_id", required=False)
@service_options
@json_option
@as_of_option
def config(sources: TargetSources, agent_id: str | None, as_json: bool) -> None:
    """Show the config of the agent AGENT_ID (an id or a name). [default: the acting agent]"""
    from quorate.client import requests

    with open_api(sources) as api:
        found = api.call(requests.get_config(agent_id_of(api, agent_id)))
    _print("Config:", found, as_json)


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
    "--config",
    "settings",
    required=True,
    callback=_parse_object,
    help="The whole config as a JSON object.",
)
@service_options
@json_option
@quiet_option
def update_config(
    sources: TargetSources,
    agent_id: str | None,
    settings: dict[str, Any],
    as_json: bool,
    quiet: bool,
) -> None:
    """Replace the config of the agent AGENT_ID (an id or a name). [default: the acting agent]

    Settings: humanizer_enabled (true or false), humanizer_style and humanizer_provider (text).
    A setting that is missing from --config is removed.
    """
    from quorate.client import requests

    with open_api(sources) as api:
        changed = agent_id_of(api, agent_id)
        found = api.call(requests.put_config(changed, settings))
    if unknown := settings.keys() - found.keys():
        print_hint(f"Ignored unknown settings: {', '.join(sorted(unknown))}.")
    if quiet:
        print_line(changed)
    else:
        _print("Updated config:", found, as_json)


def _print(headline: str, found: dict[str, bool | str], as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found:
        print_details(headline, {name: _format_value(found[name]) for name in sorted(found)})
    else:
        print_details("The config is empty.", {})


def _format_value(value: bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else value
