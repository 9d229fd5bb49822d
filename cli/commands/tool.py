"""`quorate tool`: call a session tool with its JSON input, and list the tools."""

from typing import TYPE_CHECKING

import click

from quorate.cli.connection.api import open_api
from quorate.cli.connection.resolve import TargetSources, resolve_target
from quorate.cli.options import service_options
from quorate.cli.output.console import print_json, print_response
from quorate.cli.output.errors import ADVICE, EXIT_CODES, report_errors

if TYPE_CHECKING:
    from quorate.contracts.operations import AnyOperation

FORMATS = ("json-schema", "openai", "openai-responses", "anthropic", "mcp")


@click.command(
    epilog="""
\b
Examples:
  quorate tool
  quorate tool --format anthropic
  quorate tool sessions_list '{"agent_name": "outreach-agent", "limit": 20}'
  echo '{"agent_name": "outreach-agent"}' | quorate tool sessions_list -
"""
    + EXIT_CODES
)
@click.argument("name", required=False)
@click.argument("input_", metavar="[JSON]", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="json-schema",
    show_default=True,
    help="Form of the list of tools: that of a model provider, or of MCP.",
)
@click.option(
    "--idempotency-key",
    allow_from_autoenv=False,
    help="Key under which the service carries the call out once. [default: random]",
)
@service_options
def tool(
    sources: TargetSources,
    name: str | None,
    input_: str | None,
    form: str,
    idempotency_key: str | None,
) -> None:
    """Call the tool NAME with a JSON object, or list the tools that the key may use.

    JSON is the object itself, @FILE, or - for standard input. The output is the JSON of the
    response.
    """
    if name is None:
        _list(sources, form)
        return
    from quorate.cli.operations import transport
    from quorate.cli.operations.requests import read_body
    from quorate.client.request_builder import request_for
    from quorate.domain.shared.records import changed

    operation = _find(name)
    body = read_body(input_ if input_ is not None else "{}")
    service = resolve_target(sources)
    with report_errors(as_json=True, advice=ADVICE, key_from=service.key_from):
        response = transport.send(
            service,
            changed(request_for(operation, body), parse=lambda json: json),
            timeout_seconds=None,
            idempotency_key=idempotency_key,
        )
        print_response(response.result)


def _list(sources: TargetSources, form: str) -> None:
    import orjson

    from quorate.client.request_builder import request_for
    from quorate.contracts.sessions.tool_list import LIST_TOOLS, ToolsQuery

    query = ToolsQuery.model_validate(orjson.loads(orjson.dumps({"format": form})))
    with open_api(sources) as api:
        print_json(api.call(request_for(LIST_TOOLS, query=query)).raw)


def _find(name: str) -> "AnyOperation":
    from quorate.contracts.registry import OPERATIONS

    tools = {one.tool: one for one in OPERATIONS if one.tool is not None}
    if name not in tools:
        known = ", ".join(sorted(tools)) or "none"
        raise click.UsageError(f"There is no tool {name}. Tools: {known}.")
    return tools[name]
