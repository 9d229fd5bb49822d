"""Readers of a pending proposal see the electorate, the votes that count, and who has not voted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.projections.queries import RequestRow
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import deregister, id_of, propose, vote


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        await stage.create_agents("ann", "bob", "cid", "dan")
        yield stage


async def read(stage: ProjectionStage, request: str = "request") -> RequestRow:
    """Read a proposal alone and in a list; both must be equal."""
    alone = (await stage.reader.request(TENANT, request)).found
    listed = (await stage.reader.requests(TENANT, "", 9, None)).found
    assert alone is not None
    assert alone in listed
    return alone


def count_of(row: RequestRow) -> tuple[int | None, int | None, int | None]:
    return row.electorate_size, row.counted_approvals, row.counted_rejections


async def voters(
    stage: ProjectionStage, request: str = "request", *, after: str = "", limit: int = 9
) -> dict[str, str | None]:
    found = (await stage.reader.electorate(TENANT, request, after, limit)).found
    assert found is not None
    return {one.name or one.id: one.vote for one in found}


async def test_live_electorate_follows_deregistrations_and_timeouts(
    stage: ProjectionStage,
) -> None:
    await stage.execute(propose("ann", minutes=60))
    await stage.execute(vote("bob", "approve"))
    await stage.execute(vote("cid", "reject"))

    assert count_of(await read(stage)) == (4, 1, 1)
    assert await voters(stage) == {"ann": None, "bob": "approve", "cid": "reject", "dan": None}

    await stage.execute(deregister("bob"))
    assert count_of(await read(stage)) == (3, 0, 1)
    assert await voters(stage) == {"ann": None, "cid": "reject", "dan": None}
    assert (await read(stage)).approvals == 1  # It was cast, and does not count now.

    stage.clock.move(minutes=20)  # Not recorded yet.
    assert count_of(await read(stage)) == (0, 0, 0)
    assert await voters(stage) == {}


async def test_fixed_electorate_keeps_its_members_and_their_votes(stage: ProjectionStage) -> None:
    await stage.execute(propose("ann", electorate="snapshot", proposer_votes=False, minutes=60))
    await stage.execute(vote("bob", "approve"))
    await stage.execute(deregister("bob"))

    assert count_of(await read(stage)) == (3, 1, 0)
    assert await voters(stage) == {"bob": "approve", "cid": None, "dan": None}
    assert await voters(stage, after=id_of("bob"), limit=1) == {"cid": None}


async def test_proposer_that_does_not_vote_and_the_floor_are_considered(
    stage: ProjectionStage,
) -> None:
    await stage.execute(propose("ann", proposer_votes=False, floor="1"))
    await stage.execute(deregister("dan"))

    assert count_of(await read(stage)) == (3, 0, 0)
    assert await voters(stage) == {"bob": None, "cid": None}
    assert await voters(stage, after=id_of("bob")) == {"cid": None}


async def test_closed_proposal_shows_its_decision_and_its_voters(stage: ProjectionStage) -> None:
    await stage.execute(propose("ann", minutes=60))
    for name in ("ann", "bob", "cid"):
        await stage.execute(vote(name, "approve"))
    await stage.execute(deregister("bob"))

    assert count_of(await read(stage)) == (4, None, None)
    assert await voters(stage) == dict.fromkeys(("ann", "bob", "cid"), "approve")


async def test_electorate_of_an_unknown_or_foreign_proposal_is_empty(
    stage: ProjectionStage,
) -> None:
    await stage.execute(propose("ann"))

    assert (await stage.reader.electorate(TENANT, "other", "", 9)).found == []
    assert (await stage.reader.electorate(OTHER_TENANT, "request", "", 9)).found == []
