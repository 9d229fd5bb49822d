"""A vote loads all votes of its proposal, but only the voter's own reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from quorate.domain.coordination.consensus import CONSENSUS, CastVote
from quorate.domain.identity.agents import AgentRef
from quorate.domain.registry import new_state
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import TENANT_KEY, id_of, propose, vote

BY_ID = vote("ann", "approve")
BY_NAME = replace(BY_ID, caller=TENANT_KEY, agent=AgentRef(name="Ann"))


async def reasons_loaded(stage: ProjectionStage, command: CastVote) -> dict[str, str | None]:
    tenant_state = new_state()
    reads = {name: {(TENANT, *key): None} for name, *key in command.reads()}
    async with stage.database.read() as transaction:
        await transaction.look_up(stage.state_store.lookups({TENANT: tenant_state}, reads))
    return {voter: cast.reason for voter, cast in tenant_state[CONSENSUS]["request"].votes.items()}


@pytest.mark.parametrize("command", [BY_ID, BY_NAME], ids=["by id", "by name"])
@pytest.mark.parametrize("database", DATABASES)
async def test_only_the_voters_own_reason_is_loaded(
    database: str, command: CastVote, tmp_path: Path
) -> None:
    async with open_stage(database, tmp_path) as stage:
        await stage.create_agents("ann", "bob", "cid", "dan", "eve")
        await stage.execute(
            propose("ann"),
            vote("ann", "approve", reason="it is time"),
            vote("bob", "reject", reason="a long story"),
        )

        loaded = await reasons_loaded(stage, command)

    assert loaded == {id_of("ann"): "it is time", id_of("bob"): None}
