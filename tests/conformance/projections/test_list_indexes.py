"""Statements of task lists and schedules use their indexes, and name the tenant."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.eventlog.transactions import Query
from quorate.projections.sessions.list_queries import ListQueries
from quorate.projections.sessions.schedules import ScheduleQueries
from tests.conformance.projections.projection_stage import ProjectionStage, open_stage
from tests.conformance.projections.test_indexes import Plans, queries, tables_in
from tests.conformance.projections.test_tenant_filters import conditions

ACROSS_TENANTS = {"schedules.due"}  # The leader fires the schedules of all tenants.


def statements(stage: ProjectionStage) -> dict[str, Query]:
    lists = ListQueries(stage.log, stage.clock)
    owners = {
        "lists": {**vars(lists), **{f"page{flags}": one for flags, one in lists._pages.items()}},
        "schedules": vars(ScheduleQueries(stage.log, stage.clock)),
    }
    found = {
        f"{owner}.{name.strip('_')}": one
        for owner, names in owners.items()
        for name, one in names.items()
        if isinstance(one, Query)
    }
    own = ("list_item", "task_list", "schedule", "claimed_items", "held_leases")
    return found | {
        name: one
        for name, one in queries(stage).items()
        if name.startswith("states.") and any(each in name for each in own)
    }


@pytest.fixture
async def plans(tmp_path: Path) -> AsyncIterator[Plans]:
    async with open_stage("sqlite", tmp_path) as stage:
        yield Plans(tmp_path / "quorate.db", statements(stage))


def test_no_statement_scans_a_table(plans: Plans) -> None:
    assert len(plans.statements) > 25
    for name in plans.statements:
        assert list(tables_in(plans.of(name))) == [], plans.of(name)


def test_no_page_is_sorted_before_the_limit(plans: Plans) -> None:
    for name in plans.statements:
        assert not any("ORDER BY" in line for line in plans.of(name)), name


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("states.list_item.address:list_item", "list_items USING INDEX list_items_by_address"),
        ("states.list_item.owner:list_item", "list_items USING INDEX list_items_claimed"),
        ("states.held_leases.name:list_item", "list_items USING INDEX list_items_claimed"),
        ("states.list_item.id:task_list", "task_lists USING PRIMARY KEY (tenant=? AND id=?)"),
        ("lists.page(False, True)", "list_items USING INDEX list_items_by_address (tenant=?"),
        ("schedules.due", "schedules USING INDEX schedules_due (next_at"),
        ("schedules.page_of_agent", "schedules USING INDEX schedules_of_agent (tenant=?"),
    ],
)
def test_lookup_uses_its_index(plans: Plans, name: str, way: str) -> None:
    assert any(line.startswith(f"SEARCH {way}") for line in plans.of(name)), plans.of(name)


def test_statement_is_restricted_to_a_tenant(plans: Plans) -> None:
    unrestricted = {
        name
        for name, one in plans.statements.items()
        if "tenant" not in conditions(one.sql) and name not in ACROSS_TENANTS
    }
    assert unrestricted == set()
