"""An example call of an operation, from the examples of the API documents if there are any."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from quorate.cli.operations.fields import TENANT_FIELDS, Field
from quorate.cli.operations.names import kebab_case
from quorate.contracts.examples import BODIES, PATH_IDS, QUERIES, example_value
from quorate.contracts.operations import AnyOperation

LINE_LENGTH_MAX = 74
INDENT = "  "
INDENTED_MAX = 12  # Of a line of JSON: its indent, or the name of the option before it.
VALUE_LENGTH_MAX = LINE_LENGTH_MAX - 8  # Without the indent, quotes and the end of the line.


def example_lines(operation: AnyOperation, fields: Sequence[Field]) -> list[str]:
    """Return a command for the shell, in lines that fit into the help."""
    lines = [f"{INDENT}quorate call {operation.name}"]
    for word in _words(operation.name, fields):
        first, *others = word.splitlines()
        if len(lines[-1]) + len(first) + 1 > LINE_LENGTH_MAX:
            lines[-1] += " \\"
            lines.append(INDENT * 2 + first)
        else:
            lines[-1] += f" {first}"
        lines += [INDENT * 3 + one for one in others]
    return lines


def _example_values(name: str, fields: Sequence[Field]) -> Mapping[str, Any]:
    """Return example values by JSON name: all that are known, and all that are required.

    The tenant is left out if the key determines it.
    """
    body = BODIES[name] if any(one.place == "body" for one in fields) else {}
    examples = {"body": body, "query": QUERIES.get(name, {}), "path": PATH_IDS}
    values: dict[str, Any] = {}
    for field in fields:
        known = examples[field.place]
        if field.json_name in known and (field.is_required or field.json_name not in TENANT_FIELDS):
            values[field.json_name] = known[field.json_name]
        elif field.place == "path":
            values[field.json_name] = kebab_case(field.json_name).upper().replace("-", "_")
        elif field.is_required:
            values[field.json_name] = example_value(field.schema, field.json_name)
    return values


def _words(name: str, fields: Sequence[Field]) -> Iterator[str]:
    values = _example_values(name, fields)
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
        if len(text) + len(field.option) > VALUE_LENGTH_MAX and not isinstance(value, str):
            text = _broken(value)
        yield f"{field.option} {shlex.quote(text)}"


def _broken(value: Any) -> str:  # noqa: ANN401 - any JSON value.
    """Return JSON in lines that are as long as is permitted."""
    lines = [""]
    for part in orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().splitlines():
        text = part.strip()
        if len(lines[-1]) + len(text) > VALUE_LENGTH_MAX - INDENTED_MAX:
            lines.append("")
        lines[-1] += text
    return "\n".join(lines)
