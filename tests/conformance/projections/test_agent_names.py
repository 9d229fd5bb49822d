"""Names of registered agents, and of agents that only have a key."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

import pytest

from quorate.domain.identity.api_keys import IssueKey
from quorate.domain.identity.tenants import CreateTenant
from quorate.projections import agent_names
from quorate.projections.agent_names import AgentNames
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import ADMIN_KEY, id_of, register

RESERVED = "agent_reserved"
HANG_SECONDS = 60.0


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        await stage.submit(CreateTenant(tenant_id=TENANT))
        await stage.submit(register("ann"))
        await stage.submit(
            IssueKey(
                caller=ADMIN_KEY,
                key_id="k" * 16,
                role="agent",
                secret_hash="5e" * 32,
                agent_name="bob",
                new_agent_id=RESERVED,
            )
        )
        yield stage


async def test_registered_and_reserved_agents_have_names(stage: ProjectionStage) -> None:
    names = AgentNames(stage.log)

    assert await names.look_up(TENANT, id_of("ann")) == "ann"
    assert await names.look_up(TENANT, RESERVED) == "bob"


async def test_found_name_is_cached_and_missing_name_is_not(stage: ProjectionStage) -> None:
    names = AgentNames(stage.log)
    assert await names.look_up(TENANT, id_of("eve")) is None

    await stage.submit(register("eve"))

    assert names.cached(TENANT, id_of("eve")) is None
    assert await names.look_up(TENANT, id_of("eve")) == "eve"
    assert names.cached(TENANT, id_of("eve")) == "eve"


async def test_agent_of_another_tenant_has_no_name(stage: ProjectionStage) -> None:
    names = AgentNames(stage.log)
    await names.look_up(TENANT, RESERVED)

    assert await names.look_up(OTHER_TENANT, RESERVED) is None
    assert names.cached(OTHER_TENANT, RESERVED) is None


async def test_cache_is_cleared_at_its_limit(
    stage: ProjectionStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_names, "CACHED_NAMES_MAX", 1)
    names = AgentNames(stage.log)

    await names.look_up(TENANT, id_of("ann"))
    await names.look_up(TENANT, RESERVED)

    assert names.cached(TENANT, id_of("ann")) is None
    assert names.cached(TENANT, RESERVED) == "bob"


class CountingNames(AgentNames):
    """Counts its reads; they wait until ``go_on`` is set."""

    reads = 0

    def wait_for(self, go_on: asyncio.Event) -> "CountingNames":
        self._go_on, self.has_read = go_on, asyncio.Event()
        return self

    async def look_up_all(self, tenant: str, agent_ids: Collection[str]) -> Mapping[str, str]:
        self.reads += 1
        found = await super().look_up_all(tenant, agent_ids)
        self.has_read.set()
        await self._go_on.wait()
        return found


async def test_callers_share_a_read_and_keep_their_order(stage: ProjectionStage) -> None:
    go_on = asyncio.Event()
    names, order = CountingNames(stage.log).wait_for(go_on), list[int]()

    async def look_up(number: int) -> None:
        assert await names.look_up(TENANT, id_of("ann")) == "ann"
        order.append(number)

    calls = [asyncio.create_task(look_up(number)) for number in range(5)]
    await asyncio.sleep(0)
    calls[0].cancel()
    go_on.set()
    await asyncio.gather(*calls, return_exceptions=True)

    assert names.reads == 1
    assert order == [1, 2, 3, 4], "the first one was cancelled, and ends no other"


async def test_caller_that_joins_a_read_sees_an_agent_that_registered_before_it(
    stage: ProjectionStage,
) -> None:
    go_on = asyncio.Event()
    names = CountingNames(stage.log).wait_for(go_on)
    earlier = asyncio.create_task(names.look_up(TENANT, id_of("eve")))
    await asyncio.wait_for(names.has_read.wait(), HANG_SECONDS)
    await stage.submit(register("eve"))

    later = asyncio.create_task(names.look_up(TENANT, id_of("eve")))
    await asyncio.sleep(0)
    go_on.set()

    await earlier
    assert await later == "eve"
