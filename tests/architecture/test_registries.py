"""Each registry is complete, and the declarations of all layers fit together."""

from dataclasses import fields
from importlib import import_module
from inspect import isclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from quorate.domain.registry import (
    AGGREGATES,
    COMMANDS,
    EVENT_TYPES,
    NOTIFYING_EVENTS,
    SCHEMA,
)
from quorate.domain.shared.aggregates import ID, Aggregate
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.quotas import COUNTED, OWNED
from quorate.domain.shared.state import Command, RepeatableCommand
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.metadata import metadata
from quorate.projections.registry import READ_MODELS, REPOSITORIES
from quorate.projections.repository import Repository
from tests.architecture.source_tree import MODULE_NAMES, layer_of
from tests.support.paths import ROOT

DOMAIN_MODULES = [
    import_module(name) for name, path in MODULE_NAMES.items() if layer_of(path) == "domain"
]
PROJECTION_MODULES = [
    import_module(name)
    for name, path in MODULE_NAMES.items()
    if layer_of(path) == "projections" and "migrations" not in name
]
NO_STATE = {"send", "departure", "cancellation"}


def declared(modules: list[Any], kind: type[Any]) -> set[Any]:
    return {one for module in modules for one in vars(module).values() if isinstance(one, kind)}


def classes(modules: list[Any]) -> set[type[Any]]:
    return {
        one
        for module in modules
        for one in vars(module).values()
        if isclass(one) and one.__module__ == module.__name__
    }


def test_every_command_of_a_key_is_submitted_by_the_service() -> None:
    """``Service.submit`` makes it pausable and metered; others make none of a key, or unpack it."""
    makers = {
        path
        for path in MODULE_NAMES.values()
        if "CommandEnvelope(" in path.read_text("utf-8") and layer_of(path) != "bench"
    }

    assert {path.relative_to(ROOT).as_posix() for path in makers} == {
        "application/execution.py",
        "application/system_commands.py",
        "eventlog/remote/messages.py",
        "server/bootstrap.py",
    }


def test_every_aggregate_is_listed() -> None:
    assert declared(DOMAIN_MODULES, Aggregate) == set(AGGREGATES)
    assert len({one.name for one in AGGREGATES}) == len(AGGREGATES)


def test_every_command_is_listed() -> None:
    commands = {one for one in classes(DOMAIN_MODULES) if hasattr(one, "decide")}

    commands -= {Command, RepeatableCommand}  # Protocols.
    assert commands == set(COMMANDS.values())
    assert all(hasattr(one, "reads") and hasattr(one, "result") for one in COMMANDS.values())


def test_every_event_belongs_to_one_aggregate() -> None:
    listed = [event for aggregate in AGGREGATES for event in aggregate.events]

    assert len(set(listed)) == len(listed) == len(EVENT_TYPES)
    assert set(listed) == set(SCHEMA.effects) == set(SCHEMA.stream_of)


def test_every_event_has_a_golden_file() -> None:
    golden = {path.name.split(".")[0] for path in (ROOT / "tests/golden/events").glob("*.json")}

    assert set(EVENT_TYPES) <= golden


def test_notification_rules_name_existing_events() -> None:
    assert set(EVENT_TYPES) >= NOTIFYING_EVENTS


def test_every_counter_is_a_quota_and_has_a_column() -> None:
    counters = {name for aggregate in AGGREGATES for name in aggregate.counters}

    assert counters == {*COUNTED, *OWNED}
    assert set(COUNTED) <= {column.name for column in metadata.tables["counts"].columns}
    assert set(OWNED) <= {column.name for column in metadata.tables["holdings"].columns}


def test_every_repository_is_listed_and_every_state_has_one() -> None:
    assert declared(PROJECTION_MODULES, Repository) == set(REPOSITORIES)
    stored = {one.aggregate.name for one in REPOSITORIES}
    assert stored == {one.name for one in AGGREGATES} - NO_STATE


def test_every_table_belongs_to_one_read_model() -> None:
    tables = [table.name for model in READ_MODELS for table in model.tables]

    assert sorted(tables) == sorted(metadata.tables)


def test_every_index_and_owner_of_an_aggregate_can_be_looked_up(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "quorate.db")
    reads = {plan.read for model in READ_MODELS for plan in model.plans(database)}
    stateful = [one for one in AGGREGATES if one.evolve is not None]

    wanted = {f"{one.name}.{index}" for one in stateful for index in (ID, *one.indexes)}
    wanted |= {f"{one.name}.owner" for one in stateful if one.owner is not None}
    assert wanted <= reads


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda one: one.name)
def test_every_deadline_has_a_query(aggregate: Aggregate[Any]) -> None:
    due = {one.aggregate.name for one in REPOSITORIES if one.due is not None}

    assert (aggregate.name in due) == (aggregate.deadline is not None)


def test_every_error_has_a_stable_code() -> None:
    kinds = [one for one in classes(DOMAIN_MODULES) if issubclass(one, DomainError)]
    leaves = [
        one
        for one in kinds
        if not any(other is not one and issubclass(other, one) for other in kinds)
    ]

    assert all(isinstance(one.code, str) for one in leaves)
    assert len({one.code for one in leaves}) == len(leaves)


def test_events_hold_only_plain_values() -> None:
    """An event is stored as JSON: no field may hold a class that JSON does not know."""
    for event in EVENT_TYPES.values():
        assert set(get_type_hints(event)) == {field.name for field in fields(event)}
