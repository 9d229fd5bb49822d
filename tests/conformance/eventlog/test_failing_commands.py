"""A rejected or crashing command affects its caller only."""

import asyncio
from collections.abc import MutableMapping
from typing import Any, cast

import pytest
from sqlalchemy import select

from quorate.domain.shared.state import Command
from quorate.eventlog.envelopes import Accepted, CommandFailed, Rejected
from quorate.eventlog.transactions import Query
from quorate.projections.tables import leases
from tests.conformance.eventlog.conformance import Key, Stage
from tests.unit.support.sample_commands import (
    LEE,
    acquire,
    key_of,
    propose,
    register,
    release,
    vote,
)

NOT_A_ROLE = cast("str", None)
NOT_A_NAME = "\ud800"
CANNOT_BE_RENDERED = "cannot be rendered"


def _fails_to_render(_outcome: object) -> bytes:
    raise RuntimeError(CANNOT_BE_RENDERED)


BROKEN: dict[str, Command] = {
    "the rules raise": acquire("ann", minutes=float("nan")),
    "its numbers are too large for a column": acquire("ann", minutes=2.0**70),
    "the database refuses it": register("eve", role=NOT_A_ROLE),
    "it cannot be looked up": register(NOT_A_NAME),
    "it is no command": cast("Command", object()),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_crashing_command_fails_alone(stage: Stage, what: str) -> None:
    await stage.create_agents("ann", "bob")
    pending = [
        stage.start(register("cid")),
        stage.start(BROKEN[what]),
        stage.start(acquire("bob", LEE, lease="l1")),
        stage.start(BROKEN[what]),
        stage.start(acquire("ann", LEE, lease="l2")),
    ]
    answers = await asyncio.gather(*pending, return_exceptions=True)

    assert [type(item) for item in answers] == [
        Accepted,
        CommandFailed,
        Accepted,
        CommandFailed,
        Rejected,
    ]
    assert (await stage.types())[3:] == ["AgentRegistered", "LeaseAcquired", "LeaseConflicted"]
    await stage.log.verify_range(0, await stage.log.committed_head())


@pytest.mark.parametrize("what", BROKEN)
async def test_crash_is_logged_and_the_command_bus_continues(
    stage: Stage, what: str, logged: list[MutableMapping[str, Any]]
) -> None:
    await stage.create_agents("ann")
    with pytest.raises(CommandFailed):
        await stage.submit(BROKEN[what])
    await stage.execute(register("bob"))

    (entry,) = [entry for entry in logged if entry["event"] == "command.failed"]
    assert entry["command"] == type(BROKEN[what]).__name__
    assert entry["log_level"] == "error"
    assert stage.database.reopened == 0  # The database connection is not reopened.


async def test_render_failure_rolls_back_its_command(stage: Stage) -> None:
    await stage.create_agents("ann")
    with pytest.raises(CommandFailed):
        await stage.submit(acquire("ann", lease="l1"), render=_fails_to_render)
    await stage.execute(acquire("ann", lease="l2"))

    assert (await stage.types()).count("LeaseAcquired") == 1
    assert [row.id for row in await _leases(stage)] == ["l2"]


async def test_failure_is_not_stored_under_the_idempotency_key(stage: Stage) -> None:
    await stage.create_agents("ann")
    key = Key(key="k1")
    with pytest.raises(CommandFailed):
        await stage.submit(acquire("ann"), key=key, render=_fails_to_render)
    result = await stage.submit(acquire("ann"), key=key)

    assert isinstance(result, Accepted)
    assert not result.replayed


async def test_statement_rejection_fails_its_command_only(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(propose("ann", request="r1"))
    pending = [
        stage.start(acquire("ann", lease="l1")),
        stage.start(acquire("bob", lease="l2")),
        stage.start(vote("stranger", "approve", request="r1")),
        stage.start(release("nothing", by=key_of("ann"))),
        stage.start(vote("ann", "approve", request="r1")),
    ]
    answers = await asyncio.gather(*pending)

    codes = [item.code if isinstance(item, Rejected) else None for item in answers]
    assert codes == [None, "lease_conflict", "agent_not_found", "lease_not_found", None]
    assert (await stage.types())[4:] == ["LeaseAcquired", "LeaseConflicted", "VoteCast"]


async def test_rejection_without_events_appends_nothing(stage: Stage) -> None:
    await stage.create_agents("ann")
    before = await stage.events()
    await stage.submit(release("nothing", by=key_of("ann")))

    assert await stage.events() == before


async def test_rejection_details_have_public_names(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    result = await stage.submit(acquire("bob"))

    assert isinstance(result, Rejected)
    assert result.facts == {
        "conflict": True,
        "leaseHolder": {
            "agentId": "agent_ann",
            "agentName": "ann",
            "expiresAt": "2026-03-01T12:30:00.000Z",
        },
        "willNotify": True,
    }


async def _leases(stage: Stage) -> list[Any]:
    async with stage.log.read() as transaction:
        return list(await transaction.fetch(Query(select(leases), stage.database.dialect), {}))
