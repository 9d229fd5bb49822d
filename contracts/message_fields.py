"""A request as one JSON object: the form that NATS messages and tool arguments have.

* It contains the fields of the body or query, the ids of the path, and the idempotency key.
* It is validated by the models of the operation, as over HTTP.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from pydantic import BaseModel, Field, create_model

from quorate.contracts.descriptions import (
    IDEMPOTENCY_KEY_LENGTH_MAX,
    IDEMPOTENCY_KEY_PATTERN,
    id_description,
)
from quorate.contracts.operations import AnyOperation, is_id, json_name, path_parameters
from quorate.contracts.problems import Problem
from quorate.contracts.validation import validate
from quorate.contracts.wire_models import TenantRequest
from quorate.domain.shared.records import record

OWN_ID_PARAMETER = "agent_id"  # An agent may omit its own id.
IDEMPOTENCY_FIELD = "idempotency_key"


@record
class MessageFields:
    """The validated parts of a request; ``path`` has the ids by their names in the path."""

    path: Mapping[str, str]
    body: BaseModel | None
    query: BaseModel | None
    idempotency_key: str | None


def id_fields(operation: AnyOperation) -> Mapping[str, str]:
    """Map the parameters of the operation's path to their field names in a message."""
    return {name: json_name(operation, name) for name in path_parameters(operation)}


def read_fields(
    operation: AnyOperation,
    values: MutableMapping[str, Any],
    *,
    own_id: str | None = None,
    key_in_header: str | None = None,
) -> MessageFields:
    """Validate the members of a message, which are removed from ``values``; raises Problem.

    ``own_id`` is the id of the calling agent, which it may omit.
    """
    key, body, query = key_in_header, None, None
    if operation.command:
        key = _single_key(key, values.pop(json_name(operation, IDEMPOTENCY_FIELD), None))
    own = {} if own_id is None else {OWN_ID_PARAMETER: own_id}
    path = {
        name: _id(values.pop(field, own.get(name)), field)
        for name, field in id_fields(operation).items()
    }
    if operation.body is not None:
        body = validate(operation.body, values)
    elif operation.query is not None:
        # Strict: JSON contains numbers as numbers, unlike a query string.
        query = validate(operation.query, values, strict=True)
    return MessageFields(path=path, body=body, query=query, idempotency_key=key)


def _single_key(in_header: str | None, in_field: Any) -> str | None:  # noqa: ANN401 - JSON.
    if in_field is None:
        return in_header
    if not isinstance(in_field, str) or in_header not in {None, in_field}:
        raise Problem("idempotency_key_invalid", "Send one idempotency key, as a string.")
    return in_field


def _id(value: Any, field: str) -> str:  # noqa: ANN401 - any JSON value.
    """Return the id, or "" if it has no valid form: no resource has that id."""
    if value is None:
        raise Problem("invalid_request", f"{field}: Field required")
    if not isinstance(value, str):
        raise Problem("invalid_request", f"{field}: Input should be a valid string")
    return value if is_id(value) else ""


def request_model(operation: AnyOperation) -> type[BaseModel]:
    """Return the model of the message: the fields of the body or query and the ids of the path."""
    model = operation.body or operation.query or TenantRequest
    fields: dict[str, Any] = {}
    for name in path_parameters(operation):
        if name in model.model_fields:
            continue
        if name == OWN_ID_PARAMETER:
            description = f"{id_description(name)} Default: the calling agent."
            fields[name] = (
                str,
                Field(default=None, alias=json_name(operation, name), description=description),
            )
        else:
            fields[name] = (
                str,
                Field(alias=json_name(operation, name), description=id_description(name)),
            )
    if operation.command:
        fields[IDEMPOTENCY_FIELD] = (
            str,
            Field(
                default=None,
                alias=json_name(operation, IDEMPOTENCY_FIELD),
                min_length=1,
                max_length=IDEMPOTENCY_KEY_LENGTH_MAX,
                pattern=IDEMPOTENCY_KEY_PATTERN,
                description="Same as the header `Idempotency-Key`.",
            ),
        )
    name = f"{operation.name[0].upper()}{operation.name[1:]}Request"
    return create_model(name, __base__=model, __doc__=f"{operation.summary}.", **fields)
