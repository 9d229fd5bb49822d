"""A vote is decided among all votes of its request; of reasons, only the voter's own is read."""

from dataclasses import replace
from pathlib import Path

import pytest

from quorate.domain.coordination.consensus import CONSENSUS, CastVote
from quorate.domain.identity.agents import AgentRef
from quorate.domain.registry import new_state
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.scene import DATABASES, Scene, opened
from tests.unit.support.scenario import TENANT_KEY, id_of, propose, vote

BY_ITSELF = vote("ann", "approve")
BY_NAME = replace(BY_ITSELF, caller=TENANT_KEY, agent=AgentRef(name="Ann"))


async def reasons_loaded(scene: Scene, command: CastVote) -> dict[str, str | None]:
    tenant_state = new_state()
    reads = {name: {(TENANT, *key): None} for name, *key in command.reads()}
    async with scene.database.read() as transaction:
        await transaction.look_up(scene.state_store.lookups({TENANT: tenant_state}, reads))
    return {voter: cast.reason for voter, cast in tenant_state[CONSENSUS]["request"].votes.items()}


@pytest.mark.parametrize("command", [BY_ITSELF, BY_NAME], ids=["by itself", "by name"])
@pytest.mark.parametrize("database", DATABASES)
async def test_of_all_reasons_the_voters_own_is_loaded(
    database: str, command: CastVote, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as scene:
        await scene.create_agents("ann", "bob", "cid", "dan", "eve")
        await scene.execute(
            propose("ann"),
            vote("ann", "approve", reason="it is time"),
            vote("bob", "reject", reason="a long story"),
        )

        loaded = await reasons_loaded(scene, command)

    assert loaded == {id_of("ann"): "it is time", id_of("bob"): None}
