"""One decorator for everything that is said: commands, events, states and answers."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[T]) -> type[T]:
    """A frozen, slotted dataclass whose fields are given by name."""
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__init__ = _filling_slots(made)  # type: ignore[method-assign]  # The same, sooner.
    return made


def _filling_slots(cls: type[Any]) -> Callable[..., None]:
    """The dataclass's own ``__init__``, but each value goes straight into its slot.

    A frozen dataclass fills its fields by ``object.__setattr__``, which looks each one up by name.
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
    exec("\n".join([f"def __init__({head}):", *lines, "    pass"]), known)  # noqa: S102 - as dataclasses do.
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made
