"""An example call of an operation, from the examples of the API documents if there are any."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from quorate.cli.operations.fields import Field
from quorate.contracts.examples import BODIES, PATH_IDS, QUERIES
from quorate.contracts.operations import AnyOperation

LINE_LENGTH_MAX = 74
INDENT = "  "


def example_lines(operation: AnyOperation, fields: Sequence[Field]) -> list[str]:
    """Return a command for the shell, in lines that fit into the help."""
    lines = [f"{INDENT}quorate call {operation.name}"]
    for word in _words(operation.name, fields):
        if len(lines[-1]) + len(word) + 1 > LINE_LENGTH_MAX:
            lines[-1] += " \\"
            lines.append(INDENT * 2 + word)
        else:
            lines[-1] += f" {word}"
    return lines


def example_values(name: str, fields: Sequence[Field]) -> Mapping[str, Any]:
    """Return example values by JSON name: all that are known, and all that are required.

    The tenant is left out if the key determines it.
    """
    body, query = BODIES.get(name, {}), QUERIES.get(name, {})
    values: dict[str, Any] = {}
    for field in fields:
        own = {"body": body, "query": query, "path": PATH_IDS}[field.place]
        if field.is_required:
            values[field.json_name] = own.get(field.json_name, _placeholder(field))
        elif field.json_name in own and field.json_name != "tenantId":
            values[field.json_name] = own[field.json_name]
    return values


def _placeholder(field: Field) -> Any:  # noqa: ANN401 - any JSON value.
    schema = field.schema
    if known := [*schema.get("examples", ()), *schema.get("enum", ())]:
        return known[0]
    placeholders: Mapping[str, Any] = {
        "integer": schema.get("minimum", 1),
        "number": schema.get("minimum", 1),
        "boolean": True,
        "array": [],
        "object": {},
    }
    name = field.option.removeprefix("--").upper().replace("-", "_")
    return placeholders.get(str(schema.get("type")), name)


def _words(name: str, fields: Sequence[Field]) -> Iterator[str]:
    values = example_values(name, fields)
    for field in fields:
        if field.json_name in values:
            yield from _option(field, values[field.json_name])


def _option(field: Field, value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value.
    if isinstance(value, bool):
        yield field.option if value else f"--no-{field.option.removeprefix('--')}"
    elif isinstance(value, list):
        for one in value:
            yield from _option(field, one)
    else:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        yield f"{field.option} {shlex.quote(text)}"
