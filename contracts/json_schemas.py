"""Generate the JSON Schemas of the API documents from the models and the response types.

* Each schema matches what the service enforces.
* Generated titles and keywords that are specific to pydantic are removed, so the documents contain
  only standard JSON Schema.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

Json: TypeAlias = dict[str, Any]
# Callers create requests ("validation"), the service creates responses ("serialization").
Mode: TypeAlias = Literal["validation", "serialization"]

SCHEMAS = "#/components/schemas/"

# pydantic keeps its own keyword for a bound if a validator is between the bound and the number.
_KEYWORDS = {"ge": "minimum", "le": "maximum"}


def generate_schemas(types: Mapping[str, tuple[Mode, Any]]) -> tuple[dict[str, Json], Json]:
    """Return the schema of each type by the given name, and the shared definitions."""
    inputs = [(name, mode, TypeAdapter(type_)) for name, (mode, type_) in types.items()]
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=SCHEMAS + "{model}")
    definitions: Json = simplify(shared.get("$defs", {}))
    return {name: simplify(schema) for (name, _), schema in found.items()}, definitions


def simplify(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema.
    match schema:
        case dict():
            named = {_KEYWORDS.get(key, key): simplify(value) for key, value in schema.items()}
            if isinstance(named.get("title"), str):
                del named["title"]
            if named.get("default", ...) is None:
                del named["default"]
            if isinstance(named.get("description"), str):
                named["description"] = named["description"].replace("``", "`")
            return named
        case list():
            return [simplify(one) for one in schema]
        case float() if schema.is_integer():  # FastAPI writes all bounds as fractions.
            return int(schema)
        case _:
            return schema


def ref(name: str) -> Json:
    return {"$ref": SCHEMAS + name}
