"""Write responses: compile one function for each pair of a response model and a domain record.

* The model declares the fields, their names in JSON and which are left out instead of null. The
  record has the values under the same names, so the shape of a response is written once.
* What differs is named: a path in the record (``"agent.id"``), or a function of the record.
* A field without a value in the record is an argument of the compiled function, by its name.
* An impossible pair fails when the module is imported, not when a request arrives.

A lease takes 3 us this way, and 14 us as a validated model (measured on two shared cores).
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Literal, TypeAlias, get_args, get_origin

import orjson
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from quorate.domain.shared.timestamps import iso

Json: TypeAlias = dict[str, Any]
Render: TypeAlias = Callable[..., Json]
Source: TypeAlias = str | Callable[[Any], Any]
ARGUMENT = "="  # The value is an argument, although the record has a field of this name.


def dump(response: Any) -> bytes:  # noqa: ANN401 - a rendered response, or a list of them.
    return orjson.dumps(response)


def renderer(model: type[BaseModel], record: type[Any], **sources: Source) -> Render:
    """Compile ``render(record, *, <other fields>) -> JSON object`` for a response model."""
    available = {field.name for field in fields(record)}
    known: dict[str, Any] = {"iso": iso}
    arguments: list[str] = []
    members: list[str] = []
    omitted: list[str] = []
    unknown = sources.keys() - model.model_fields.keys()
    assert not unknown, f"{model.__name__} has no fields {unknown}"
    for name, field in model.model_fields.items():
        value = _value(name, field, sources.get(name), available, known)
        if value == name:
            arguments.append(name if field.is_required() else f"{name}=None")
        text = _formatted(field, value)
        if field.exclude_if is None:
            members.append(f"{field.alias!r}: {text}")
        else:
            shown = _formatted(field, "_")
            omitted.append(f"    if (_ := {value}) is not None: json[{field.alias!r}] = {shown}")
    head = ", ".join(["record", *(["*", *arguments] if arguments else [])])
    lines = [f"def render({head}):", f"    json = {{{', '.join(members)}}}", *omitted]
    exec("\n".join([*lines, "    return json"]), known)  # noqa: S102 - compiled from models only.
    made: Render = known["render"]
    return made


def _value(
    name: str,
    field: FieldInfo,
    source: Source | None,
    available: set[str],
    known: dict[str, Any],
) -> str:
    """Return the expression for a field; its plain name stands for an argument."""
    if source == ARGUMENT:
        return name
    if isinstance(source, str):
        assert source.partition(".")[0] in available, f"{name}: no {source} in the record"
        return f"record.{source}"
    if source is not None:
        known[f"make_{name}"] = source
        return f"make_{name}(record)"
    if name in available:
        return f"record.{name}"
    if get_origin(field.annotation) is Literal and not field.is_required():
        return repr(field.default)
    return name


def _formatted(field: FieldInfo, value: str) -> str:
    """Return the expression of a value in JSON: times are written as text."""
    if not _mentions(field.annotation, AwareDatetime):
        return value
    if _mentions(field.annotation, type(None)) and field.exclude_if is None:
        return f"None if {value} is None else iso({value})"
    return f"iso({value})"


def _mentions(annotation: Any, type_: Any) -> bool:  # noqa: ANN401 - types.
    return annotation is type_ or any(_mentions(one, type_) for one in get_args(annotation))


def constant(model: type[BaseModel]) -> bytes:
    """Return the response of a model whose fields are all constant."""
    members: Mapping[str, Any] = model().model_dump(mode="json", by_alias=True)
    return dump(members)
