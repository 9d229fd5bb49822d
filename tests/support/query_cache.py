"""Compile queries once per kind of database, not once per log that a test opens.

A service opens one log and compiles its queries at the start. Tests open hundreds of logs, and
compiling took most of the time of opening them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import pytest

from quorate.eventlog import event_store
from quorate.eventlog.database import Database
from quorate.projections import state_store

T = TypeVar("T")


def _cached_by_dialect(make: Callable[[Database], T]) -> Callable[[Database], T]:
    cached: dict[str, T] = {}

    @wraps(make)  # ``__wrapped__`` makes queries that are not shared.
    def cached_factory(database: Database) -> T:
        kind = database.dialect.name
        if kind not in cached:
            cached[kind] = make(database)
        return cached[kind]

    return cached_factory


@contextmanager
def cache_queries() -> Iterator[None]:
    """Share compiled queries; they contain no limit that a test changes and no data of a log."""
    factories: list[tuple[Any, str]] = [(event_store, "EventQueries"), (state_store, "_Queries")]
    with pytest.MonkeyPatch.context() as patch:
        for module, name in factories:
            patch.setattr(module, name, _cached_by_dialect(getattr(module, name)))
        yield
