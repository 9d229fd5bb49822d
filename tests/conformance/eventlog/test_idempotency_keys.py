"""Requests with the same idempotency key are executed once and get the same response."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from quorate.domain.shared.deadlines import RecordDue
from quorate.eventlog import idempotency as answers_module
from quorate.eventlog.envelopes import KEY_REUSED, Accepted, CommandResult, Rejected, Unavailable
from quorate.eventlog.idempotency import RESPONSES_KEPT_HOURS
from quorate.eventlog.tables import answers
from quorate.eventlog.transactions import Query
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT, Key, Stage, body, until
from tests.unit.support.sample_commands import LEE, acquire, heartbeat, propose, register, vote

K1, K2 = Key(key="k1"), Key(key="k2")


def again(result: CommandResult) -> CommandResult:
    """Return the same result, marked as replayed."""
    return replace(result, replayed=True)


async def remembered(stage: Stage) -> int:
    count = select(func.count().label("count")).select_from(answers)
    async with stage.log.read() as transaction:
        ((found,),) = await transaction.fetch(Query(count, stage.database.dialect), {})
    return int(found)


async def test_same_request_gets_the_same_response_and_no_new_event(stage: Stage) -> None:
    await stage.create_agents("ann")
    first = await stage.submit(acquire("ann", lease="l1"), key=K1)
    stage.clock.move(minutes=1)
    events = await stage.events()

    assert await stage.submit(acquire("ann", lease="l2"), key=K1) == again(first)
    assert await stage.events() == events
    assert body(first)["id"] == "l1"


async def test_response_is_replayed_after_a_restart(stage: Stage) -> None:
    await stage.create_agents("ann")
    first = await stage.submit(acquire("ann", lease="l1"), key=K1)
    await stage.restart()

    assert await stage.submit(acquire("ann", lease="l2"), key=K1) == again(first)


@pytest.mark.parametrize("version", [b"", b"\0"])
async def test_retry_across_an_upgrade_gets_its_response(stage: Stage, version: bytes) -> None:
    """Another version of the fingerprint of one request is different, too."""
    await stage.create_agents("ann")
    before = Key(key="k1", request="as the last version saw it", version=version)
    after = Key(key="k1", request="as this version sees it")
    first = await stage.submit(acquire("ann", lease="l1"), key=before)
    await stage.restart()

    assert await stage.submit(acquire("ann", lease="l2"), key=after) == again(first)
    reused = await stage.submit(acquire("ann"), key=Key(key="k1", version=version))
    assert isinstance(reused, Rejected)
    assert reused.code == KEY_REUSED


async def test_response_is_replayed_when_the_state_has_changed(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    first = await stage.submit(acquire("ann", minutes=1), key=K1)
    stage.clock.move(minutes=2)
    await stage.execute(RecordDue(aggregate="lease", id="new-lease"), acquire("bob", lease="l2"))

    assert await stage.submit(acquire("ann"), key=K1) == again(first)


async def test_concurrent_requests_with_one_key_are_executed_once(stage: Stage) -> None:
    await stage.create_agents("ann")
    pending = [stage.start(acquire("ann", lease=f"l{number}"), key=K1) for number in range(32)]
    first, *others = await asyncio.gather(*pending)

    assert isinstance(first, Accepted)
    assert not first.replayed
    assert others == [again(first)] * 31
    assert len(stage.committed[-1]) == 1  # They were one batch.


async def test_requests_with_one_key_in_two_batches_are_executed_once(stage: Stage) -> None:
    await stage.create_agents("ann")
    with stage.database.hold():
        first = stage.start(acquire("ann", lease="l1"), key=K1)
        await stage.database.held.wait()
        second = stage.start(acquire("ann", lease="l2"), key=K1)
        await asyncio.sleep(0)

    assert await second == again(await first)
    assert (await stage.types()).count("LeaseAcquired") == 1


async def test_other_request_with_the_same_key_is_rejected(stage: Stage) -> None:
    await stage.create_agents("ann")
    first = await stage.submit(acquire("ann"), key=K1)
    other = await stage.submit(acquire("ann", LEE), key=Key(key="k1", request="another"))

    assert other == Rejected(code=KEY_REUSED, facts={}, sequence=first.sequence)
    assert KEY_REUSED == "idempotency_key_reused"
    assert (await stage.types()).count("LeaseAcquired") == 1
    assert await stage.submit(acquire("ann"), key=K1) == again(first)


async def test_other_request_with_the_same_key_in_one_batch_is_rejected(stage: Stage) -> None:
    await stage.create_agents("ann")
    pending = [
        stage.start(acquire("ann"), key=K1),
        stage.start(acquire("ann", LEE), key=Key(key="k1", request="another")),
    ]
    first, other = await asyncio.gather(*pending)

    assert isinstance(first, Accepted)
    assert isinstance(other, Rejected)
    assert other.code == KEY_REUSED


async def test_other_key_is_another_request(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.clock.move(minutes=1)
    await stage.submit(heartbeat("ann"), key=K1)
    stage.clock.move(minutes=1)
    result = await stage.submit(heartbeat("ann"), key=K2)

    assert not result.replayed
    assert (await stage.types()).count("HeartbeatReceived") == 2


async def test_keys_are_scoped_by_tenant(stage: Stage) -> None:
    for tenant in (TENANT, OTHER_TENANT):
        await stage.create_agents("ann", tenant=tenant)
    ours = await stage.submit(acquire("ann", lease="l1"), key=K1)
    theirs = await stage.submit(acquire("ann", lease="l2"), tenant=OTHER_TENANT, key=K1)

    assert not theirs.replayed
    assert (body(ours)["id"], body(theirs)["id"]) == ("l1", "l2")


async def test_keys_are_scoped_by_caller(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.submit(acquire("ann"), key=Key(key="k1", caller="keyann"))
    result = await stage.submit(acquire("bob", LEE), key=Key(key="k1", caller="keybob"))

    assert isinstance(result, Accepted)
    assert not result.replayed


async def test_keys_are_scoped_by_command(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.submit(acquire("ann"), key=K1)
    result = await stage.submit(register("ann"), key=K1)

    assert isinstance(result, Accepted)
    assert not result.replayed


async def test_rejections_are_replayed(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann", minutes=1))
    rejected = await stage.submit(acquire("bob"), key=K1)
    stage.clock.move(minutes=2)  # A new request would be granted now.
    await stage.restart()

    assert isinstance(rejected, Rejected)
    assert await stage.submit(acquire("bob"), key=K1) == again(rejected)
    assert (await stage.types()).count("LeaseConflicted") == 1


async def test_command_without_events_is_not_remembered(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.submit(heartbeat("ann"), key=K1)  # Right after the registration it records nothing.

    assert await remembered(stage) == 0
    stage.clock.move(minutes=1)
    assert not (await stage.submit(heartbeat("ann"), key=K1)).replayed
    assert "HeartbeatReceived" in await stage.types()


async def test_rejection_without_events_is_not_remembered(stage: Stage) -> None:
    await stage.create_agents("ann")
    rejected = await stage.submit(acquire("bob"), key=K1)
    assert isinstance(rejected, Rejected)
    assert await remembered(stage) == 0

    await stage.execute(register("bob"))
    assert isinstance(await stage.submit(acquire("bob"), key=K1), Accepted)


async def test_due_events_alone_are_no_reason_to_remember(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(acquire("ann", minutes=1))
    stage.clock.move(minutes=10)  # The lease has expired and the agent has timed out.
    rejected = await stage.submit(acquire("ann"), key=K1)

    assert isinstance(rejected, Rejected)
    assert {"LeaseExpired", "AgentLapsed"} <= set(await stage.types())
    assert await remembered(stage) == 0


async def test_deciding_vote_is_replayed_unchanged(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(propose("ann"))
    first = await stage.submit(vote("ann", "approve"), key=K1)

    assert body(first)["status"] == "approved"
    assert await stage.submit(vote("ann", "approve"), key=K1) == again(first)


async def test_lost_response_is_replayed_on_retry(stage: Stage) -> None:
    """The commit succeeded, but its acknowledgement was an error."""
    await stage.create_agents("ann")
    stage.database.fail_after_commit = 1
    with pytest.raises(Unavailable):
        await stage.submit(acquire("ann", lease="l1"), key=K1)
    result = await stage.submit(acquire("ann", lease="l2"), key=K1)

    assert result.replayed
    assert body(result)["id"] == "l1"
    assert (await stage.types()).count("LeaseAcquired") == 1


async def test_uncommitted_command_is_executed_on_retry(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.database.fail_before_commit = 1
    with pytest.raises(Unavailable):
        await stage.submit(acquire("ann", lease="l1"), key=K1)
    result = await stage.submit(acquire("ann", lease="l2"), key=K1)

    assert not result.replayed
    assert body(result)["id"] == "l2"
    assert (await stage.types()).count("LeaseAcquired") == 1


# -- Pruning -------------------------------------------------------------------


async def test_responses_are_pruned_after_their_retention(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.submit(register("ann"), key=K1)
    stage.clock.move(hours=RESPONSES_KEPT_HOURS)
    await stage.submit(register("ann"), key=K2)
    stage.clock.move(milliseconds=1)
    stage.command_bus.prune_answers()
    await until(lambda: _are_remembered(stage, 1))

    assert (await stage.submit(register("ann"), key=K2)).replayed
    assert not (await stage.submit(register("ann"), key=K1)).replayed


async def test_responses_are_kept_for_their_retention(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.submit(register("ann"), key=K1)
    stage.clock.move(hours=RESPONSES_KEPT_HOURS)
    commits = stage.database.commits
    stage.command_bus.prune_answers()
    await until(lambda: stage.database.commits == commits + 1)

    assert (await stage.submit(register("ann"), key=K1)).replayed


async def test_responses_are_pruned_in_small_batches(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_module, "PRUNED_PER_BATCH_MAX", 10)
    await stage.restart()  # The limit is part of a statement.
    await stage.create_agents("ann")
    keys = [Key(key=f"k{number}") for number in range(35)]
    await asyncio.gather(*(stage.submit(register("ann"), key=key) for key in keys))
    stage.clock.move(hours=RESPONSES_KEPT_HOURS, minutes=1)
    commits = stage.database.commits
    stage.command_bus.prune_answers()
    await until(lambda: _are_remembered(stage, 0))
    await until(
        lambda: stage.database.commits - commits >= 4
    )  # The last batch is visible before it is counted.

    assert stage.database.commits - commits == 4


async def test_pruning_continues_under_load(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "PRUNED_PER_BATCH_MAX", 10)
    await stage.restart()
    await stage.create_agents("ann")
    keys = [Key(key=f"k{number}") for number in range(35)]
    await asyncio.gather(*(stage.submit(register("ann"), key=key) for key in keys))
    stage.clock.move(hours=RESPONSES_KEPT_HOURS, minutes=1)
    with stage.database.hold():
        first = stage.start(register("ann"))
        await stage.database.held.wait()
        stage.command_bus.prune_answers()
        busy = [stage.start(register("ann"), key=Key(key=f"new{n}")) for n in range(5)]
    await asyncio.gather(first, *busy)
    await until(lambda: _are_remembered(stage, 5))


async def _are_remembered(stage: Stage, count: int) -> bool:
    return await remembered(stage) == count
