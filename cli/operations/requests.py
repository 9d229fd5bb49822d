"""Make the request of an operation from the values of its options, and validate it.

The models of the operation check all fields before anything is sent. An error names the option and
the rule, and is a usage error.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from quorate.cli.operations.fields import Field, Place
from quorate.client.request_builder import Request, request_for
from quorate.contracts.operations import AnyOperation, is_id
from quorate.domain.shared.records import changed

JSON_OPTION = "--json"
STDIN = "-"
FILE_PREFIX = "@"


def read_body(given: str | None) -> Mapping[str, Any]:
    """Return the JSON object of ``--json``: the text, ``@file`` or ``-`` for standard input."""
    if given is None:
        return {}
    try:
        body = orjson.loads(_read(given))
    except OSError as error:
        raise _invalid_json(f"Cannot read {given[1:]}: {error.strerror}.") from error
    except orjson.JSONDecodeError as error:
        raise _invalid_json(f"Not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise _invalid_json("Not a JSON object.")
    return body


def _read(given: str) -> str | bytes:
    if given == STDIN:
        return sys.stdin.buffer.read()
    if given.startswith(FILE_PREFIX):
        return Path(given.removeprefix(FILE_PREFIX)).read_bytes()
    return given


def _invalid_json(reason: str) -> click.BadParameter:
    return click.BadParameter(reason, param_hint=repr(JSON_OPTION))


def make_request(
    operation: AnyOperation,
    fields: Sequence[Field],
    values: Mapping[str, Any],
    body: Mapping[str, Any],
) -> Request[Any]:
    """Make the request from the values by parameter name; raises UsageError.

    Values of options replace members of ``body``. The result of the request is plain JSON.
    """
    given = {place: _values(fields, values, place) for place in ("path", "body", "query")}
    content = {**body, **given["body"]}
    ids = {one.name: _require_id(one, values) for one in fields if one.place == "path"}
    problems: list[str] = []
    query = None
    try:
        if operation.body is not None:
            operation.body.model_validate_json(orjson.dumps(content))
    except ValidationError as error:
        problems += _describe(error, fields, values)
    try:
        query = None if operation.query is None else operation.query.model_validate(given["query"])
    except ValidationError as error:
        problems += _describe(error, fields, values)
    if problems:
        raise click.UsageError("\n".join(problems))
    request = request_for(operation, None if operation.body is None else content, query, **ids)
    return changed(request, parse=lambda json: json)


def is_given(value: object) -> bool:
    """Whether an option was given; a repeatable option that was not is an empty tuple."""
    return value is not None and value != ()


def _values(fields: Sequence[Field], values: Mapping[str, Any], place: Place) -> dict[str, Any]:
    return {
        one.name: list(value) if isinstance(value, tuple) else value
        for one in fields
        if one.place == place and is_given(value := values.get(one.parameter))
    }


def _require_id(field: Field, values: Mapping[str, Any]) -> str:
    value = values.get(field.parameter)
    if value is None:
        raise click.UsageError(f"Missing option {field.option!r}.")
    if not value or not is_id(value):
        raise click.BadParameter("Not a valid id.", param_hint=repr(field.option))
    return str(value)


def _describe(
    error: ValidationError, fields: Sequence[Field], values: Mapping[str, Any]
) -> Iterator[str]:
    by_name = {one.name: one for one in fields if one.place != "path"}
    for one in error.errors(include_url=False):
        yield _describe_one(one, by_name, values)


def _describe_one(
    error: ErrorDetails, fields: Mapping[str, Field], values: Mapping[str, Any]
) -> str:
    where = ".".join(map(str, error["loc"]))
    field = fields.get(str(error["loc"][0])) if error["loc"] else None
    rule = error["msg"].rstrip(".")
    if field is None:
        return f"Invalid value for {JSON_OPTION!r}: {where + ': ' if where else ''}{rule}."
    if error["type"] == "missing":
        return f"Missing option {field.option!r}."
    if not is_given(values.get(field.parameter)):
        return f"Invalid value for {JSON_OPTION!r}: {where}: {rule}."
    return f"Invalid value for {field.option!r}: {rule}."
