"""Reading a document as its readers do: every object in it, every reference, every bound."""

import math
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
from pydantic import BaseModel, ValidationError

from quorate.api.json_schemas import Json

# Of JSON Schema; whatever else stands in a schema would be a bound that no reader sees.
KEYWORDS = {
    *("$ref", "additionalProperties", "allOf", "anyOf", "const", "default", "description", "enum"),
    *("examples", "format", "items", "maxLength", "maximum", "minLength", "minimum", "oneOf"),
    *("pattern", "properties", "required", "type"),
}


def parts(value: object) -> Iterator[Json]:
    """Every object in a document."""
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
    whole = {"components": document["components"], "allOf": [schema]}
    return jsonschema_rs.Draft202012Validator(whole)


def schemas(schema: Json) -> Iterator[Json]:
    """A schema and all that stand in it."""
    yield schema
    inner = [*schema.get("properties", {}).values()]
    inner += [one for word in ("allOf", "anyOf", "oneOf") for one in schema.get(word, ())]
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            inner.append(schema[word])
    for one in inner:
        yield from schemas(one)


def closed(schema: Json) -> Json:
    """Without room for fields that it does not name."""
    for part in parts(schema):
        if "properties" in part:
            part["additionalProperties"] = False
    return schema


def bounds(schema: Json) -> Iterator[tuple[object, bool]]:
    """Values at and just beyond each bound that a field's schema names, and whether they fit."""
    for one in schema.get("anyOf", [schema]):
        for word, beyond in (("minimum", -math.inf), ("maximum", math.inf)):
            if word in one:
                yield one[word], True
                is_whole = one["type"] == "integer"
                step = int(math.copysign(1, beyond))
                yield one[word] + step if is_whole else math.nextafter(one[word], beyond), False
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
            yield from ((1, False), (True, False), ([], False))
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
