"""Find the agents that a page shows, so that it shows their names instead of their ids."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any

from quorate.contracts.operations import is_id
from quorate.domain.shared.daily_quotas import is_agent

SHOWN_MAX = 1_000  # Further agents of a page have their ids.


def find_agents(loaded: Any) -> set[str]:  # noqa: ANN401 - what a view loads.
    """Return the ids of agents in what a view has loaded."""
    return set(islice(_ids(loaded), SHOWN_MAX))


def _ids(value: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, str):
        if is_agent(value) and is_id(value):
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _ids(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _ids(one)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _ids(getattr(value, field.name))
