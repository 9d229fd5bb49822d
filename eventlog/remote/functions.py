"""Functions that another process of the same installation can call.

A handler renders the response of its command with a function that it defines in place. Pickle finds
a function by its name in a module; one that was defined in place has none. It is sent as the number
of its code among all code of its module, and the values that it closes over.
"""

import importlib
import pickle
from functools import cache
from types import CellType, CodeType, FunctionType
from typing import Any

from quorate.domain.shared.records import record

_IN_PLACE = "<"  # Names of what was defined in place: ``send.<locals>.<lambda>``.


@record
class PlacedFunction:
    """A function that was defined in place."""

    module: str
    number: int
    values: tuple[Any, ...]
    defaults: tuple[Any, ...] | None


def pack(function: Any) -> Any:  # noqa: ANN401 - any callable, or None.
    """Return what pickle can send; raise PicklingError for code that no module contains."""
    if not isinstance(function, FunctionType) or _IN_PLACE not in function.__qualname__:
        return function
    number = _numbers_of(function.__module__).get(function.__code__)
    if number is None or function.__kwdefaults__:
        raise pickle.PicklingError(f"{function.__qualname__} cannot be sent")
    return PlacedFunction(
        module=function.__module__,
        number=number,
        values=tuple([pack(cell.cell_contents) for cell in function.__closure__ or ()]),
        defaults=function.__defaults__,
    )


def unpack(packed: Any) -> Any:  # noqa: ANN401 - see ``pack``.
    if not isinstance(packed, PlacedFunction):
        return packed
    return FunctionType(
        _codes_of(packed.module)[packed.number],
        vars(importlib.import_module(packed.module)),
        argdefs=packed.defaults,
        closure=tuple([CellType(unpack(value)) for value in packed.values]),
    )


@cache
def _codes_of(module: str) -> list[CodeType]:
    """Return all code of a module, in an order that is the same in every process."""
    spec: Any = importlib.import_module(module).__spec__
    found: list[CodeType] = []
    following = [spec.loader.get_code(module)]
    while following:
        code = following.pop()
        found.append(code)
        following += [one for one in code.co_consts if isinstance(one, CodeType)]
    return found


@cache
def _numbers_of(module: str) -> dict[CodeType, int]:
    return {code: number for number, code in enumerate(_codes_of(module))}
