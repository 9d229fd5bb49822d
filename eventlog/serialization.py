"""Convert events to JSON and back, and upcast old event versions.

* The JSON is canonical: sorted keys, no white space, UTF-8, no floating-point numbers, and absent
  fields instead of null. An event has the same bytes in every process and on every database.
* Field names become camelCase, timestamps become ISO 8601.
* A stored event is never rewritten. Each type has a version, and readers upcast an old version to
  the current one, step by step, with ``UPCASTERS``.
* An unknown type or a newer version raises UnknownEvent; it is never skipped.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from types import UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

import orjson

from quorate.domain.registry import EVENT_TYPES
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.timestamps import Timestamp, instant, iso

Upcaster: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]

FIRST_VERSION = 1
TIMESTAMPS_CACHED_MAX = 4096
VERSIONS: Mapping[str, int] = dict.fromkeys(EVENT_TYPES, FIRST_VERSION)
# (type, version) -> function that converts its data to the next version.
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}


class UnknownEvent(Exception):
    """The log was written by a newer version of Quorate."""


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value.
    """Return the canonical JSON of a value (RFC 8785, for the values that events contain)."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """``contact_email`` -> ``contactEmail``."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def public(value: Any) -> Any:  # noqa: ANN401 - whatever facts hold.
    """Facts with the names that callers see."""
    if isinstance(value, dict):
        return {camel(key): public(inner) for key, inner in value.items()}
    return value


def encode(event: Event) -> bytes:
    """Return the event's data as canonical JSON."""
    return orjson.dumps(_DATA_WRITERS[type(event)](event), option=orjson.OPT_SORT_KEYS)


def decode(type_: str, version: int, data: bytes | str) -> Event:
    """Return the stored event in its current version."""
    return event_of(type_, upcast_data(type_, version, data))


def upcast_data(type_: str, version: int, data: bytes | str) -> dict[str, Any]:
    """Parse stored data and upcast it to the current version."""
    parsed: dict[str, Any] = orjson.loads(data)
    return parsed if version == VERSIONS.get(type_) else upcast(type_, version, parsed)


def read(type_: str, version: int, data: dict[str, Any]) -> Event:
    """Like ``decode``, from parsed JSON; unknown fields are ignored."""
    if version != VERSIONS.get(type_):
        data = upcast(type_, version, data)
    return event_of(type_, data)


def event_of(type_: str, data: dict[str, Any]) -> Event:
    """Return the event with this data of the current version."""
    return _READERS[type_](data)


def upcast(
    type_: str,
    version: int,
    data: dict[str, Any],
    *,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    versions: Mapping[str, int] = VERSIONS,
) -> dict[str, Any]:
    """Upcast data step by step; raises UnknownEvent for an unknown type or version."""
    current = versions.get(type_)
    if current is None or version > current:
        message = f"{type_} version {version} is unknown: it needs a newer Quorate"
        raise UnknownEvent(message)
    for step in range(version, current):
        if (upcaster := upcasters.get((type_, step))) is None:
            raise UnknownEvent(f"{type_} version {step} cannot be read: it has no upcaster")
        data = upcaster(data)
    return data


def _compile_writer(event: type[Event]) -> Callable[[Event], dict[str, Any]]:
    """Compile a function that returns the data of one event class, without fields that are None.

    A loop over the fields took twice as long.
    """
    hints = get_type_hints(event)
    lines = []
    for field in fields(event):
        convert = _WRITERS.get(_kind(hints[field.name]))
        value = f"{convert}(value)" if convert else "value"
        member = f"data[{camel(field.name)!r}] = {value}"
        lines.append(f"    if (value := event.{field.name}) is not None: {member}")
    names: dict[str, Any] = dict(_WRITE_CONVERTERS)
    source = ["def write(event):", "    data = {}", *lines, "    return data"]
    exec("\n".join(source), names)  # noqa: S102 - fixed names only.
    writer: Callable[[Event], dict[str, Any]] = names["write"]
    return writer


def _reader(event: type[Event]) -> Callable[[Mapping[str, Any]], Event]:
    """Compile a function that constructs one event class from its data.

    A replay spends most of its time here; a loop over the fields took twice as long.
    """
    hints = get_type_hints(event)
    arguments = []
    for field in fields(event):
        key = camel(field.name)
        value = f"data[{key!r}]"
        convert = _CONVERSIONS.get(_kind(hints[field.name]))
        read = f"{convert}({value})" if convert else value
        if field.default is not MISSING:
            assert field.default is None, "an absent field of an event is None"
            read = f"{read} if {key!r} in data else None"
        arguments.append(f"{field.name}={read}")
    names = {"event": event} | _CONVERTERS
    source = f"lambda data: event({', '.join(arguments)})"
    reader: Callable[[Mapping[str, Any]], Event] = eval(source, names)  # noqa: S307 - fixed names only.
    return reader


def _kind(hint: Any) -> Any:  # noqa: ANN401 - a type expression.
    """Return the type that decides how a field is converted: of ``_CONVERSIONS``, or another."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if Timestamp in options:
        return Timestamp
    if any(ContentRef in get_args(option) for option in options):
        return ContentRef
    return tuple if any(get_origin(option) is tuple for option in options) else None


def _write_refs(refs: Iterable[ContentRef]) -> list[dict[str, Any]]:
    return [{"part": ref.part, "sha256": ref.sha256, "bytes": ref.bytes} for ref in refs]


def _read_refs(refs: Iterable[Mapping[str, Any]]) -> tuple[ContentRef, ...]:
    return tuple(
        ContentRef(part=ref["part"], sha256=ref["sha256"], bytes=ref["bytes"]) for ref in refs
    )


# Events of one transaction contain the same few timestamps.
_read_instant = lru_cache(maxsize=TIMESTAMPS_CACHED_MAX)(instant)
_CONVERTERS = {"read_instant": _read_instant, "read_refs": _read_refs, "tuple": tuple}
_CONVERSIONS: Mapping[Any, str] = {
    Timestamp: "read_instant",
    ContentRef: "read_refs",
    tuple: "tuple",
}
_WRITE_CONVERTERS = {"iso": iso, "write_refs": _write_refs}
_WRITERS: Mapping[Any, str] = {Timestamp: "iso", ContentRef: "write_refs"}
_DATA_WRITERS: Mapping[type[Event], Callable[[Event], dict[str, Any]]] = {
    event: _compile_writer(event) for event in EVENT_TYPES.values()
}
_READERS: Mapping[str, Callable[[Mapping[str, Any]], Event]] = {
    type_: _reader(event) for type_, event in EVENT_TYPES.items()
}
