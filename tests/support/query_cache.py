"""Queries are compiled once for each kind of database, and not for each log that a test opens.

A service opens one log in its life, and compiles before it answers anybody. Tests open hundreds:
compiling was most of what that cost.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from quorate.eventlog import event_store
from quorate.eventlog.database import Database
from quorate.projections import state_store

T = TypeVar("T")


def _once(make: Callable[[Database], T]) -> Callable[[Database], T]:
    made: dict[str, T] = {}

    def of(backend: Database) -> T:
        kind = backend.dialect.name
        if kind not in made:
            made[kind] = make(backend)
        return made[kind]

    return of


@contextmanager
def once() -> Iterator[None]:
    """No limit stands in these that a test would lower, and nothing of one log goes to the next."""
    places: list[tuple[Any, str]] = [(event_store, "_Queries"), (state_store, "_Queries")]
    with pytest.MonkeyPatch.context() as patch:
        for module, name in places:
            patch.setattr(module, name, _once(getattr(module, name)))
        yield
