"""JSON Schemas of the arguments and of the results of tools, from the models of their operations.

* ``tenantId`` is left out of the arguments, because the key determines the tenant. A call that has
  it is accepted if it names the tenant of the key.
* A result is an object: the items of a list are in ``items``.
* A failed call has a problem document as its result. Clients that check results do so for failed
  calls too, so the schema of a result permits both.
"""

from typing import Any, get_origin

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel

from quorate.contracts.input_schemas import input_schema
from quorate.contracts.json_schemas import Json, simplify
from quorate.contracts.message_fields import IDEMPOTENCY_FIELD, request_model
from quorate.contracts.operations import AnyOperation, json_name
from quorate.contracts.problem_models import ProblemDocument
from quorate.mcp_server.tools import Tool

ITEMS = "items"
NEXT = "next"
_TENANT = "tenant_id"
_KEY_DESCRIPTION = (
    "Choose a new text for each new action, and repeat it if you repeat a call: the action is "
    "carried out once."
)


def tool_input_schema(tool: Tool) -> Json:
    operation = tool.operation
    schema = input_schema(request_model(operation), (_TENANT, to_camel(_TENANT)))
    properties = schema["properties"]
    if (timeout := tool.timeout) is not None:
        field = properties.pop(timeout.field)
        bounds = {"maximum": timeout.seconds_max, "default": timeout.seconds_max}
        properties[timeout.argument] = field | bounds
    if operation.command:
        key = properties.pop(json_name(operation, IDEMPOTENCY_FIELD))
        properties[IDEMPOTENCY_FIELD] = key | {"description": _KEY_DESCRIPTION}
    return schema


def output_schema(tool: Tool) -> Json:
    result, definitions = _result_schema(tool.operation)
    problem = _adapter_schema(ProblemDocument)
    definitions |= problem.pop("$defs", {})
    return {
        "type": "object",
        "anyOf": [result, problem],
        **({"$defs": definitions} if definitions else {}),
    }


def is_list(operation: AnyOperation) -> bool:
    return get_origin(operation.response) is list


def _result_schema(operation: AnyOperation) -> tuple[Json, Json]:
    if operation.response is None:
        return {"type": "object"}, {}
    schema = _adapter_schema(operation.response)
    definitions: Json = schema.pop("$defs", {})
    if not is_list(operation):
        return schema, definitions
    described = {
        "type": "object",
        "properties": {
            ITEMS: schema,
            NEXT: {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "Pass it as `after` for the next page; null on the last page.",
            },
        },
        "required": [ITEMS, NEXT],
    }
    return described, definitions


def _adapter_schema(type_: Any) -> Json:  # noqa: ANN401 - a model, a TypedDict or a list of one.
    schema: Json = simplify(TypeAdapter(type_).json_schema(mode="serialization"))
    return schema
