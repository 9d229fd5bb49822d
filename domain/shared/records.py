"""One decorator for commands, events, states and results."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[T]) -> type[T]:
    """Make a frozen, slotted dataclass whose fields are given by name."""
    made: Any = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__init__ = _fast_init(made)
    made.__replace__ = _fast_replace(made)
    made.__getstate__, made.__setstate__ = _fast_state(made)
    return made  # type: ignore[no-any-return]


def changed(instance: T, **values: Any) -> T:  # noqa: ANN401 - the fields of any record.
    """Copy a record with other values for some fields, as ``dataclasses.replace`` does.

    It takes half the time: 1.9 us instead of 3.6 us for the 11 fields of a lease.
    """
    copy: T = instance.__replace__(**values)  # type: ignore[attr-defined]
    return copy


def _fast_init(cls: type[Any]) -> Callable[..., None]:
    """Compile an ``__init__`` like that of the dataclass, but write each value into its slot.

    A frozen dataclass sets its fields with ``object.__setattr__``, which looks up each name.
    """
    known: dict[str, Any] = {}
    parameters, lines = [], []
    for field in fields(cls):
        known[f"put_{field.name}"] = getattr(cls, field.name).__set__
        given = field.name
        if field.default is not MISSING:
            known[f"else_{field.name}"] = field.default
            given = f"{field.name}=else_{field.name}"
        assert field.default_factory is MISSING, f"{cls.__name__}.{field.name}: no factories here"
        parameters.append(given)
        lines.append(f"    put_{field.name}(self, {field.name})")
    head = ", ".join(["self", "*", *parameters]) if parameters else "self"
    return _compiled(cls, "__init__", [f"def __init__({head}):", *lines, "    pass"], known)


def _fast_replace(cls: type[Any]) -> Callable[..., Any]:
    """Compile a copy function that writes slot by slot; ``unset`` marks unchanged fields."""
    known: dict[str, Any] = {"unset": object(), "cls": cls, "new": object.__new__}
    names = [field.name for field in fields(cls)]
    lines = ["    copy = new(cls)"]
    for name in names:
        known[f"put_{name}"] = getattr(cls, name).__set__
        lines.append(f"    put_{name}(copy, self.{name} if {name} is unset else {name})")
    head = ", ".join(["self", "*", *(f"{name}=unset" for name in names)]) if names else "self"
    source = [f"def __replace__({head}):", *lines, "    return copy"]
    return _compiled(cls, "__replace__", source, known)


def _fast_state(cls: type[Any]) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Compile what pickle calls: those of the dataclass look up the fields for each instance."""
    names = [field.name for field in fields(cls)]
    known: dict[str, Any] = {f"put_{name}": getattr(cls, name).__set__ for name in names}
    values = "".join(f"self.{name}, " for name in names)
    read = ["def __getstate__(self):", f"    return ({values})"]
    lines = [f"    put_{name}(self, state[{number}])" for number, name in enumerate(names)]
    write = ["def __setstate__(self, state):", *lines, "    pass"]
    return (
        _compiled(cls, "__getstate__", read, {}),
        _compiled(cls, "__setstate__", write, known),
    )


def _compiled(
    cls: type[Any], name: str, lines: list[str], known: dict[str, Any]
) -> Callable[..., Any]:
    exec("\n".join(lines), known)  # noqa: S102 - as dataclasses do.
    made: Callable[..., Any] = known[name]
    made.__qualname__ = f"{cls.__qualname__}.{name}"
    return made
