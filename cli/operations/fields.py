"""The options of an operation: one for each field of its body and query, and each id in its path.

Types, ranges, defaults and choices come from the JSON schema of the operation's models.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import click
import orjson
from pydantic import BaseModel

from quorate.cli.operations.names import kebab_case
from quorate.cli.parameter_types import SECONDS_PER_UNIT, parse_seconds
from quorate.contracts.operations import ID_LENGTH_MAX, AnyOperation, json_name, path_parameters
from quorate.contracts.wire_models import SEQUENCE_MAX
from quorate.domain.shared.records import record

Schema: TypeAlias = Mapping[str, Any]
Place: TypeAlias = Literal["body", "query", "path"]

# Options of every operation. A field of one of these names becomes `--field-NAME`.
RESERVED = frozenset(
    {
        *("url", "api-key", "context", "data-dir", "as-operator", "help"),
        *("json", "idempotency-key", "timeout", "include", "verbose", "last-event-id"),
    }
)
CHOICES_LENGTH_MAX = 60
TENANT_FIELDS = {"tenantId", "tenant_id"}
_REFERENCE = re.compile(r"#/\$defs/(\w+)")


@record
class Field:
    """A field of an operation. ``name`` is its name in JSON, or that of a parameter in the path."""

    name: str
    place: Place
    schema: Schema
    is_required: bool
    json_name: str

    @property
    def option(self) -> str:
        name = kebab_case(self.json_name)
        return f"--field-{name}" if name in RESERVED else f"--{name}"

    @property
    def parameter(self) -> str:
        """The name under which click passes the value."""
        return f"field_{self.json_name}"


def fields_of(operation: AnyOperation) -> list[Field]:
    """Return the fields of an operation: ids, body, query, in this order.

    A field that body and query have in common belongs to the body.
    """
    fields = [
        Field(
            name=name,
            place="path",
            schema={"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX},
            is_required=True,
            json_name=json_name(operation, name),
        )
        for name in path_parameters(operation)
    ]
    models: tuple[tuple[Place, type[BaseModel] | None], ...] = (
        ("body", operation.body),
        ("query", operation.query),
    )
    for place, model in models:
        known = {one.json_name for one in fields}
        if model is not None:
            fields += [one for one in _model_fields(place, model) if one.name not in known]
    # The caller's current session has no option where the operation is about another one.
    names = {one.name for one in fields}
    fields = [one for one in fields if one.name.removeprefix("_") not in names - {one.name}]
    # Required fields come first, the id of the tenant last: few callers need it.
    return sorted(fields, key=lambda one: (not one.is_required, one.name in TENANT_FIELDS))


def _model_fields(place: Place, model: type[BaseModel]) -> Iterator[Field]:
    whole = model.model_json_schema()
    required = whole.get("required", ())
    for name, schema in whole.get("properties", {}).items():
        yield Field(
            name=name,
            place=place,
            schema=_resolve(schema, whole.get("$defs", {})),
            is_required=name in required,
            json_name=name,
        )


def _resolve(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Replace a reference by its definition, and an optional type by the type."""
    if found := _REFERENCE.fullmatch(schema.get("$ref", "")):
        return _resolve({**definitions[found[1]], **_without(schema, "$ref")}, definitions)
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        return _resolve({**choices[0], **_without(schema, "anyOf")}, definitions)
    if choices and all("enum" in one for one in choices):
        merged = [value for one in choices for value in one["enum"]]
        return {**_without(schema, "anyOf"), "enum": merged}
    return schema


def _without(schema: Schema, name: str) -> Schema:
    return {key: value for key, value in schema.items() if key != name}


# -- Options -----------------------------------------------------------------------


class Number(click.ParamType[float]):
    """A number; whole numbers stay integers in JSON. With a unit it may be a duration (``5m``)."""

    name = "number"

    def __init__(self, unit: str | None = None) -> None:
        self._unit = unit

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        seconds = None if self._unit is None else parse_seconds(str(value))
        if seconds is not None and self._unit is not None:
            return seconds / SECONDS_PER_UNIT[self._unit]
        try:
            return int(value) if str(value).lstrip("-").isdecimal() else float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number.", param, ctx)


class Json(click.ParamType[Any]):
    """A JSON value, for fields that are objects."""

    name = "json"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - any JSON value.
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError as error:
            self.fail(f"not valid JSON: {error}.", param, ctx)


class TextOrJson(Json):
    """A text, or a JSON object or list. Other JSON values need ``--json``."""

    name = "text or json"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - any JSON value.
        if str(value).lstrip().startswith(("{", "[")):
            return super().convert(value, param, ctx)
        return value


class FieldOption(click.Option):
    heading = "Fields"


def option_for(field: Field) -> FieldOption:
    """Make the option of a field. The model checks the value; click only converts it."""
    many = field.schema.get("type") == "array"
    schema = field.schema.get("items", {}) if many else field.schema
    is_flag = schema.get("type") == "boolean" and not many
    switch = f"{field.option}/--no-{field.option.removeprefix('--')}"
    return FieldOption(
        [switch if is_flag else field.option, field.parameter],
        type=None if is_flag else _type_of(schema, _unit_of(field)),
        default=None,
        multiple=many,
        allow_from_autoenv=False,  # A variable such as QUORATE_STATUS would be a surprise.
        metavar=field.name.upper() if _has_long_choices(schema) else None,
        help=_help(field),
    )


def _has_long_choices(schema: Schema) -> bool:
    """Tell whether the choices are in the description, because they do not fit before it."""
    return len("|".join(map(str, schema.get("enum", ())))) > CHOICES_LENGTH_MAX


def _unit_of(field: Field) -> str | None:
    """Return the unit of a field that is a duration, from its name."""
    units = {"minutes": "m", "seconds": "s", "hours": "h", "wait": "s"}
    last = kebab_case(field.json_name).rpartition("-")[2]
    return units.get(last)


def _type_of(schema: Schema, unit: str | None = None) -> "click.ParamType[Any]":
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    if choices and all(isinstance(one, str) for one in choices):
        return click.Choice(choices)
    match schema.get("type"):
        case "integer":
            return click.INT
        case "number":
            return Number(unit)
        case "string":
            return click.STRING
        case "boolean":
            return click.BOOL
        case _:
            return TextOrJson() if _permits_text(schema) else Json()


def _permits_text(schema: Schema) -> bool:
    """Tell whether a field of several types may be a text."""
    types = schema.get("type", ())
    return "string" in types or any(one.get("type") == "string" for one in schema.get("anyOf", ()))


def _help(field: Field) -> str:
    """Describe a field, then its rules in brackets."""
    words = kebab_case(field.json_name).replace("-", " ").replace("_", " ").capitalize()
    text = field.schema.get("description") or f"{words}."
    rules = "; ".join(_rules(field))
    return text.replace("`", "") + (f" [{rules}]" if rules else "")


def _rules(field: Field) -> Iterator[str]:
    schema = field.schema
    if field.is_required:
        yield "required"
    elif schema.get("default") not in (None, "", [], {}):
        yield f"default: {_format(schema['default'])}"
    if schema.get("type") == "array":
        yield "repeatable"
    if _has_long_choices(schema):
        yield f"one of: {', '.join(schema['enum'])}"
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if lowest is not None and highest is not None and highest != SEQUENCE_MAX:
        yield f"{_format(lowest)} to {_format(highest)}"
    elif lowest is not None:
        yield f"at least {_format(lowest)}"
    elif highest is not None:
        yield f"at most {_format(highest)}"
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if longest is not None:
        yield f"{shortest} to {longest} characters" if shortest else f"at most {longest} characters"
    if "pattern" in schema:
        yield f"pattern: {schema['pattern']}"


def _format(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, ".4g") if isinstance(value, float) else str(value)
