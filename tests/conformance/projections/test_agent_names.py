"""An agent that has a key has a name, before it has ever registered."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.domain.identity.api_keys import IssueKey
from quorate.domain.identity.tenants import CreateTenant
from quorate.projections import agent_names
from quorate.projections.agent_names import AgentNames
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.scene import DATABASES, Scene, opened
from tests.unit.support.scenario import ADMIN_KEY, id_of, register

RESERVED = "agent_reserved"


@pytest.fixture(params=DATABASES)
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(request.param, tmp_path) as scene:
        await scene.submit(CreateTenant(tenant_id=TENANT))
        await scene.submit(register("ann"))
        await scene.submit(
            IssueKey(
                caller=ADMIN_KEY,
                key_id="k" * 16,
                role="agent",
                secret_hash="5e" * 32,
                agent_name="bob",
                new_agent_id=RESERVED,
            )
        )
        yield scene


async def test_registered_and_reserved_agents_have_names(scene: Scene) -> None:
    names = AgentNames(scene.log)

    assert await names.look_up(TENANT, id_of("ann")) == "ann"
    assert await names.look_up(TENANT, RESERVED) == "bob"


async def test_a_name_is_remembered_and_its_absence_is_not(scene: Scene) -> None:
    names = AgentNames(scene.log)
    assert await names.look_up(TENANT, id_of("eve")) is None

    await scene.submit(register("eve"))

    assert names.remembered(TENANT, id_of("eve")) is None
    assert await names.look_up(TENANT, id_of("eve")) == "eve"
    assert names.remembered(TENANT, id_of("eve")) == "eve"


async def test_another_tenants_agent_has_none(scene: Scene) -> None:
    names = AgentNames(scene.log)
    await names.look_up(TENANT, RESERVED)

    assert await names.look_up(OTHER_TENANT, RESERVED) is None
    assert names.remembered(OTHER_TENANT, RESERVED) is None


async def test_so_many_are_remembered_and_no_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_names, "NAMES_REMEMBERED_MAX", 1)
    names = AgentNames(scene.log)

    await names.look_up(TENANT, id_of("ann"))
    await names.look_up(TENANT, RESERVED)

    assert names.remembered(TENANT, id_of("ann")) is None
    assert names.remembered(TENANT, RESERVED) == "bob"
