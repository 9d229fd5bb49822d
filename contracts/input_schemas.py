"""The JSON Schema of the input of a tool, from its model. Models read it, so it is short."""

from collections.abc import Collection

from pydantic import BaseModel

from quorate.contracts.json_schemas import Json, simplify
from quorate.contracts.wire_models import omit_null


def input_schema(model: type[BaseModel], without: Collection[str]) -> Json:
    """Return the schema of an input without the fields that the key of the caller decides.

    A field that is absent and one that is null mean the same, so null is left out as well.
    """
    schema: Json = model.model_json_schema(by_alias=True)
    omit_null(schema)
    schema = simplify(schema)
    properties = {
        name: field for name, field in schema.get("properties", {}).items() if name not in without
    }
    required = [name for name in schema.get("required", ()) if name in properties]
    optional = {"required": required, "$defs": schema.get("$defs")}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **{name: value for name, value in optional.items() if value},
    }
