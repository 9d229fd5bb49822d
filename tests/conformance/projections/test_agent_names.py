"""Names of registered agents, and of agents that only have a key."""

from collections.abc import AsyncIterator
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
