"""The totals for metrics follow from what was recorded, on every database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.projections.totals import Totals, TotalsQuery
from tests.conformance.projections.projection_stage import (
    DATABASES,
    ProjectionStage,
    open_stage,
)
from tests.unit.support.sample_commands import acquire, propose


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        yield stage


async def test_totals_count_what_exists(stage: ProjectionStage) -> None:
    query = TotalsQuery(stage.log)
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    await stage.execute(propose("ann"))

    found = await query.read()

    assert found.database_bytes > 0
    assert found == Totals(
        tenants=1,
        active_agents=2,
        live_leases=1,
        open_proposals=1,
        database_bytes=found.database_bytes,
    )


async def test_totals_fall_when_agents_time_out(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    stage.clock.move(minutes=6)
    await stage.record_due()

    found = await TotalsQuery(stage.log).read()

    assert (found.active_agents, found.live_leases) == (0, 0)
