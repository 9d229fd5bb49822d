"""The follower fills the history, waits for commands, and begins again after an archive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest

from quorate.domain.identity import agents
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import CreateTenant, SetTenantLimits, TenantLimits
from quorate.eventlog.archive.archiver import Archiver
from quorate.eventlog.envelopes import Accepted
from quorate.projections.history.folding import HistoryFolder
from quorate.projections.history.refill import Refill
from quorate.projections.online_rebuild import rebuild_online
from quorate.server import history_follower
from quorate.server.history_follower import HistoryFollower
from tests.conformance.archive.archive_files import LATER
from tests.conformance.eventlog.conformance import OTHER_TENANT, PLATFORMS, TENANT
from tests.conformance.projections.projection_stage import ProjectionStage
from tests.integration.history.past_services import Read, ReadingService

KEY = Principal(key_id="keytenant", role="tenant", tenant=TENANT)
LIST = Read(operation="listAgents", principal=KEY, path={}, query={})


@pytest.fixture(params=sorted(PLATFORMS))
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    stage = ProjectionStage(PLATFORMS[request.param](tmp_path))
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()


def make_follower(stage: ProjectionStage) -> HistoryFollower:
    database = stage.log.database
    return HistoryFollower(stage.command_bus, HistoryFolder(database), Refill(database))


async def catch_up(stage: ProjectionStage) -> None:
    follower = make_follower(stage)
    while await follower.follow_some():
        pass


async def register(stage: ProjectionStage, *names: str) -> int:
    """Register agents; return the last sequence."""
    sequence = 0
    for name in names:
        command = agents.RegisterAgent(
            caller=KEY, agent_name=name, agent_role="r", new_agent_id=f"agent_{name}"
        )
        answer = await stage.submit(command)
        assert isinstance(answer, Accepted)
        sequence = answer.sequence
    return sequence


async def names_at(stage: ProjectionStage, sequence: int) -> list[str] | str:
    """Return the names of the agents, or the problem."""
    answer = await ReadingService(stage.log, lambda: stage.clock.now).answer(LIST, sequence)
    if answer.sequence is None:
        return answer.body.decode()
    return [one["id"].removeprefix("agent_") for one in orjson.loads(answer.body)]


@asynccontextmanager
async def running(follower: HistoryFollower) -> AsyncIterator[None]:
    task = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_follower_keeps_up_with_commits(
    stage: ProjectionStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_follower, "GATHER_SECONDS", 0.0)
    follower = make_follower(stage)
    assert follower.lag(0) is None  # It does not run: another process may be ahead.
    async with running(follower):
        first = await register(stage, "ann")
        follower.wake([])
        assert await names_at(stage, first) == ["ann"]  # It waits for the history.
        last = await register(stage, "bob", "cid")
        follower.wake([])
        assert await names_at(stage, last) == ["ann", "bob", "cid"]
        assert await names_at(stage, first) == ["ann"]
        head = await stage.log.committed_head()
        assert (follower.lag(head), follower.lag(head + 5)) == (0, 5)
    assert follower.lag(head) is None


async def test_part_that_another_process_has_stored_is_left_out(stage: ProjectionStage) -> None:
    last = await register(stage, "ann", "bob")
    folder = HistoryFolder(stage.log.database)
    part = await folder.read_part(100)
    assert part is not None
    await catch_up(stage)

    async with stage.log.write() as transaction:
        assert not await folder.store(transaction, part)
    assert await names_at(stage, last) == ["ann", "bob"]


async def test_archived_events_leave_a_history_that_was_kept(
    stage: ProjectionStage, tmp_path: Path
) -> None:
    first = await register(stage, "ann")
    middle = await register(stage, "bob", "cid")
    await catch_up(stage)

    await archive(stage, tmp_path, leave=1)
    last = await register(stage, "dee")
    await catch_up(stage)

    found = await names_at(stage, first)
    assert isinstance(found, str)
    assert found.startswith("gap ")
    assert await names_at(stage, middle) == ["ann", "bob", "cid"]
    assert await names_at(stage, last) == ["ann", "bob", "cid", "dee"]


async def test_history_begins_with_the_present_when_events_that_it_lacks_are_archived(
    stage: ProjectionStage, tmp_path: Path
) -> None:
    middle = await register(stage, "ann", "bob", "cid")
    await archive(stage, tmp_path, leave=1)
    await catch_up(stage)
    last = await register(stage, "dee")
    await catch_up(stage)

    assert await names_at(stage, middle) == ["ann", "bob", "cid"]
    assert await names_at(stage, last) == ["ann", "bob", "cid", "dee"]
    found = await names_at(stage, middle - 1)
    assert isinstance(found, str)
    assert found.startswith("gap ")
    assert f"sequence {middle}" in found


async def test_quiet_tenant_is_read_where_the_history_begins_after_its_last_event(
    stage: ProjectionStage, tmp_path: Path
) -> None:
    last = await register(stage, "ann", "bob")
    await stage.submit(CreateTenant(tenant_id=OTHER_TENANT), tenant=OTHER_TENANT)
    for number in range(2):
        limits = SetTenantLimits(tenant_id=OTHER_TENANT, limits=TenantLimits(agents=number + 1))
        await stage.submit(limits, tenant=OTHER_TENANT)
    await archive(stage, tmp_path, leave=1)
    await catch_up(stage)

    assert await names_at(stage, last) == ["ann", "bob"]


async def test_rebuild_empties_the_history_and_it_is_filled_again(
    stage: ProjectionStage,
) -> None:
    first = await register(stage, "ann")
    last = await register(stage, "bob")
    await catch_up(stage)

    await rebuild_online(stage.log.database, lambda _done, _of: None)
    folder = HistoryFolder(stage.log.database)
    async with stage.log.read() as transaction:
        assert (await folder.progress(transaction)).position == 0
    await catch_up(stage)

    assert await names_at(stage, first) == ["ann"]
    assert await names_at(stage, last) == ["ann", "bob"]


async def archive(stage: ProjectionStage, tmp_path: Path, leave: int) -> None:
    """Move all events but the last ones to a file."""
    folder = tmp_path / "archive"
    folder.mkdir(exist_ok=True)
    count = await stage.log.committed_head() - leave
    assert await Archiver(stage.log.database, folder).move(LATER, LATER, count) is not None
