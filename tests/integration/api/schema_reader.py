"""Read the API documents: their objects, references, schemas and limits."""

import math
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
from pydantic import BaseModel, ValidationError

from quorate.contracts.json_schemas import Json

# Keywords of JSON Schema. A reader ignores other keywords, so a limit in them has no effect.
KEYWORDS = {
    *("$ref", "additionalProperties", "allOf", "anyOf", "const", "default", "description", "enum"),
    *("examples", "format", "items", "maxItems", "maxLength", "maximum", "minLength", "minimum"),
    "oneOf",
    *("pattern", "properties", "required", "type"),
}


def parts(value: object) -> Iterator[Json]:
    """Yield every object in a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from parts(one)


def resolved(document: Json, ref: str) -> Any:  # noqa: ANN401 - any part of the document.
    found: Any = document
    for name in ref.removeprefix("#/").split("/"):
        found = found[name]
    return found


def validator(document: Json, schema: Json) -> Any:  # noqa: ANN401 - has no public type.
    complete = {"components": document["components"], "allOf": [schema]}
    return jsonschema_rs.Draft202012Validator(complete)


def schemas(schema: Json) -> Iterator[Json]:
    """Yield a schema and all schemas nested in it."""
    yield schema
    inner = [*schema.get("properties", {}).values()]
    inner += [one for word in ("allOf", "anyOf", "oneOf") for one in schema.get(word, ())]
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            inner.append(schema[word])
    for one in inner:
        yield from schemas(one)


def closed(schema: Json) -> Json:
    """Forbid fields that a schema does not name."""
    for part in parts(schema):
        if "properties" in part:
            part["additionalProperties"] = False
    return schema


def bounds(schema: Json) -> Iterator[tuple[object, bool]]:
    """Yield values at and beyond each limit of a field's schema, and whether each is valid."""
    types = [one.get("type") for one in schema.get("anyOf", [schema])]
    for one in schema.get("anyOf", [schema]):
        for word, beyond in (("minimum", -math.inf), ("maximum", math.inf)):
            if word in one:
                yield one[word], True
                is_integer = one["type"] == "integer"
                step = int(math.copysign(1, beyond))
                yield one[word] + step if is_integer else math.nextafter(one[word], beyond), False
        if "maxLength" in one:
            yield "a" * (one["maxLength"] + 1), False
        if one.get("maxLength") and "enum" not in one:
            yield "a" * one["maxLength"], True
        if one.get("minLength"):
            yield "a" * one["minLength"], True
            yield "a" * (one["minLength"] - 1), False
        for value in one.get("enum", ()):
            yield value, True
            yield f"{value}s", False
        if "pattern" in one:
            yield from (("a b", False), ("a\n", False), ("a", True), (".", False), ("", False))
        if one.get("type") == "string":
            yield from ((True, False), ([], False))
            if "integer" not in types:
                yield 1, False
        if one.get("type") == "number":
            yield from (("1", False), (True, False), ([], False))
        if one.get("type") == "boolean":
            yield from (("true", False), (1, False), (True, True))
    if "anyOf" not in schema:
        yield None, False


def accepts(model: type[BaseModel], sent: Json, *, strict: bool | None = None) -> bool:
    try:
        model.model_validate(sent, strict=strict)
    except ValidationError:
        return False
    return True
