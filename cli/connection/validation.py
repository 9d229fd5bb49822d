"""Validate a request before it is sent: invalid input is a usage error that names its option.

The models of the operation have the rules, so a rule is written once. The service applies the same
rules, and reports what only it can know.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click
from pydantic import BaseModel, ValidationError

from quorate.client import requests
from quorate.client.request_builder import Request
from quorate.contracts.operations import Operation
from quorate.domain.identity.agents import AGENT_NAME
from quorate.domain.identity.tenants import TENANT_ID
from quorate.domain.shared.email_addresses import AddressUnusable, contact

CONTACT = "contactEmail"
NAME_RULES: Mapping[str, str] = {
    f"^{AGENT_NAME.pattern}$": "use letters, digits, '.', '_' and '-' (at most 64), beginning with "
    "a letter or digit",
    f"^{TENANT_ID.pattern}$": "use letters, digits, '_' and '-' (at most 64)",
}
# Fields whose option has another name.
_OPTIONS: Mapping[str, str] = {
    "agentName": "name",
    "proposerAgent": "agent_name",
    "requestingAgentId": "agent_id",
    "durationMinutes": "duration",
    "timeoutMinutes": "timeout",
    "tenantId": "tenant",
    CONTACT: "contact",
}
_WITHOUT_BRACKETS = str.maketrans("", "", "[]")  # Of an optional argument.
SHOWN_LENGTH_MAX = 80


def require_valid(request: Request[Any]) -> None:
    """Raise UsageError for an invalid field of the body or of the query."""
    problems: list[str] = []
    model = None if request.body is None else _body_model(request.name)
    if model is not None:
        try:  # orjson rejects numbers beyond 64 bits; the model names their field.
            model.model_validate_json(json.dumps(request.body))
        except ValidationError as error:
            problems += _describe(error)
    for values in (request.body, request.parameters):
        problems += _describe_address(None if values is None else values.get(CONTACT))
    if problems:
        raise click.UsageError("\n".join(dict.fromkeys(problems)))


def _body_model(name: str) -> type[BaseModel] | None:
    """Return the body of an operation; most operations are loaded with the SDK's requests."""
    loaded = (one for one in vars(requests).values() if isinstance(one, Operation))
    operation = next((one for one in loaded if one.name == name), None)
    if operation is None:
        from quorate.contracts.registry import OPERATIONS_BY_NAME  # Its import takes long.

        operation = OPERATIONS_BY_NAME[name]
    return operation.body


def _describe(error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        if one["type"] == "missing":
            yield f"Missing {_option(name)}."
        elif name != CONTACT:
            pattern = str(one.get("ctx", {}).get("pattern", ""))
            yield _invalid(name, one["input"], NAME_RULES.get(pattern, one["msg"].rstrip(".")))


def _describe_address(address: object) -> Iterator[str]:
    """Check an address without the Unicode tables that only the service has."""
    if not isinstance(address, str) or not address.isascii():
        return
    try:
        contact(address, str)
    except AddressUnusable as unusable:
        yield _invalid(CONTACT, address, f"not an e-mail address: {unusable.why}")


def _invalid(name: str, value: object, rule: str) -> str:
    shown = repr(value) if len(repr(value)) <= SHOWN_LENGTH_MAX else f"{repr(value)[:77]}..."
    return f"Invalid value for {_option(name)}: {shown}: {rule}."


def _option(name: str) -> str:
    """Return the option or the argument of the running command that sets a field."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    wanted = (_OPTIONS.get(name, snake), snake)
    ctx = click.get_current_context(silent=True)
    if ctx is not None:
        by_name = {param.name: param for param in ctx.command.params}
        known = [by_name[one] for one in wanted if one in by_name]
        given = [param for param in known if ctx.params.get(param.name or "") is not None]
        for param in (*given, *known):
            return param.get_error_hint(ctx).translate(_WITHOUT_BRACKETS)
    return name
