"""JSON Schema as our documents hold it, made from the models that check and the types that hold.

What a schema promises is what is enforced. Names that pydantic makes up and words of its own are
taken out, so that whoever reads a document needs to know JSON Schema and nothing else.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

Json: TypeAlias = dict[str, Any]
# Who made the value decides how it is described: callers (validation) or we (serialization).
Mode: TypeAlias = Literal["validation", "serialization"]

SCHEMAS = "#/components/schemas/"

# pydantic keeps its own word for a bound where a validator stands between it and the number.
_KEYWORDS = {"ge": "minimum", "le": "maximum"}


def described(types: Mapping[str, tuple[Mode, Any]]) -> tuple[dict[str, Json], Json]:
    """The schema of each type under the name given to it, and the definitions they share."""
    inputs = [(name, mode, TypeAdapter(type_)) for name, (mode, type_) in types.items()]
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=SCHEMAS + "{model}")
    definitions: Json = plain(shared.get("$defs", {}))
    return {name: plain(schema) for (name, _), schema in found.items()}, definitions


def plain(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema.
    match schema:
        case dict():
            named = {_KEYWORDS.get(key, key): plain(value) for key, value in schema.items()}
            if isinstance(named.get("title"), str):
                del named["title"]
            if named.get("default", ...) is None:
                del named["default"]
            if isinstance(named.get("description"), str):
                named["description"] = named["description"].replace("``", "`")
            return named
        case list():
            return [plain(one) for one in schema]
        case _:
            return schema


def not_null(schema: Json) -> Json:
    """For what can be left out but for which null cannot be said."""
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            rest |= choice
    return rest


def ref(name: str) -> Json:
    return {"$ref": SCHEMAS + name}
