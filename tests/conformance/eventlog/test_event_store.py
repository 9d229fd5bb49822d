"""The event store: one gapless global order, a hash chain for each tenant, and no changes."""

import hashlib
import json

import pytest

from quorate.eventlog.envelopes import Accepted, Rejected
from quorate.eventlog.event_filter import Filter
from quorate.eventlog.hash_chain import public_event
from quorate.eventlog.transactions import DatabaseUnavailable, StatementRejected
from tests.conformance.eventlog.conformance import (
    ACTOR,
    OTHER_TENANT,
    TENANT,
    Stage,
    Statement,
    body,
)
from tests.unit.support.sample_commands import (
    KIM,
    LEE,
    acquire,
    key_of,
    propose,
    register,
    release,
    vote,
)

EVERYTHING = Filter()


async def test_empty_log_has_head_zero(stage: Stage) -> None:
    page = await stage.log.page(TENANT, after=0, limit=10, conditions=EVERYTHING)

    assert await stage.log.committed_head() == 0
    assert (page.events, page.head, page.scanned_to) == ([], 0, 0)


async def test_positions_are_contiguous_across_tenants(stage: Stage) -> None:
    for number in range(5):
        await stage.execute(register(f"a{number}"), register(f"b{number}"))
        await stage.execute(register(f"c{number}"), tenant=OTHER_TENANT)

    positions = [event.position for event in await stage.events()]
    assert positions == list(range(1, 16))


async def test_sequences_are_counted_per_tenant(stage: Stage) -> None:
    for number in range(5):
        await stage.execute(register(f"a{number}"), register(f"b{number}"))
        await stage.execute(register(f"c{number}"), tenant=OTHER_TENANT)

    for tenant, count in ((TENANT, 10), (OTHER_TENANT, 5)):
        sequences = [event.sequence for event in await stage.events(tenant)]
        assert sequences == list(range(1, count + 1))


async def test_events_do_not_reveal_activity_of_other_tenants(stage: Stage) -> None:
    await stage.create_agents("ann")
    quiet = await stage.submit(acquire("ann", LEE, lease="l1"))
    await stage.create_agents("bob", "cid", "dan", tenant=OTHER_TENANT)
    busy = await stage.submit(acquire("ann", KIM, lease="l2"))

    assert (quiet.sequence, busy.sequence) == (3, 4)
    assert body(busy)["fence"] == 4


async def test_log_continues_after_a_restart(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.restart()
    await stage.execute(acquire("ann"))

    events = await stage.events()
    assert [event.position for event in events] == [1, 2, 3, 4]
    await stage.log.verify_range(0, 4)


async def test_hash_covers_the_event_and_all_earlier_ones(stage: Stage) -> None:
    """The hash is computed here as the README describes it for auditors."""
    await stage.create_agents("ann", "bob")
    await stage.create_agents("cid", tenant=OTHER_TENANT)
    await stage.submit(acquire("ann"))
    await stage.submit(acquire("bob"))

    for tenant in (TENANT, OTHER_TENANT):
        previous = bytes(32)
        for event in await stage.events(tenant):
            shown = public_event(event) | {"data": json.loads(event.data)}
            hash_shown = shown.pop("hash")
            text = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            previous = hashlib.sha256(previous + text.encode()).digest()
            assert hash_shown == previous.hex()


async def test_event_records_time_actor_and_command(stage: Stage) -> None:
    await stage.create_agents("ann")
    order = stage.envelope(acquire("ann"), actor="agent_ann")
    await stage.command_bus.submit(order)

    event = (await stage.events())[-1]
    assert (event.stream, event.type, event.version) == (
        "lease-kim@example.com",
        "LeaseAcquired",
        1,
    )
    assert (event.actor, event.command_id) == ("agent_ann", order.command_id)
    assert (event.at, event.tenant) == (stage.clock.now, TENANT)


async def test_events_of_one_command_have_one_command_id(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(propose("ann"), vote("ann", "approve"))

    cast, decided = (await stage.events())[-2:]
    assert (cast.type, decided.type) == ("VoteCast", "ConsensusDecided")
    assert cast.command_id == decided.command_id
    assert cast.id != decided.id


async def test_fence_is_the_sequence_of_the_grant(stage: Stage) -> None:
    await stage.create_agents("ann")
    for lease in ("l1", "l2", "l3"):
        result = await stage.submit(acquire("ann", lease=lease))
        granted = (await stage.events())[-1]
        assert body(result)["fence"] == result.sequence == granted.sequence
        await stage.execute(release(lease, by=key_of("ann")))


async def test_result_contains_the_head_of_the_log(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    granted = await stage.submit(acquire("ann"))
    rejected = await stage.submit(acquire("bob"))

    assert isinstance(granted, Accepted)
    assert isinstance(rejected, Rejected)
    assert (granted.sequence, rejected.sequence) == (4, 5)


async def test_listener_receives_each_event_once_and_in_order(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.submit(acquire("ann"))
    await stage.submit(release("unknown", by=key_of("ann")))

    received = [event for batch in stage.committed for event in batch]
    assert received == await stage.events()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'mallory'",
        "UPDATE events SET hash = hash WHERE position = 2",
        "DELETE FROM events WHERE position = 3",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 2",
        (
            "REPLACE INTO events SELECT 9, tenant, sequence, id, stream, type, version, at, actor,"
            " command_id, data, hash FROM events WHERE position = 2"
        ),
    ],
)
async def test_database_rejects_changes_of_events(stage: Stage, statement: str) -> None:
    await stage.create_agents("ann", "bob")
    before = await stage.events()

    with pytest.raises((StatementRejected, DatabaseUnavailable)):
        async with stage.database.write() as transaction:
            await transaction.fetch(Statement(statement), {})

    assert await stage.events() == before
    await stage.execute(acquire("ann"))  # The command bus continues to work.


async def test_position_is_unique(stage: Stage) -> None:
    await stage.create_agents("ann")
    (first, *_) = await stage.events()

    with pytest.raises(StatementRejected):
        async with stage.log.write() as transaction:
            await stage.log.append(transaction, [first])


async def test_second_writer_is_refused_while_the_first_one_writes(stage: Stage) -> None:
    """They share a connection: the second one would end the transaction of the first one."""
    await stage.create_agents("ann")
    async with stage.log.write() as transaction:
        await stage.log.head(transaction)
        with pytest.raises(RuntimeError, match="two transactions"):
            async with stage.log.write():
                pass
        await stage.log.head(transaction)
    await stage.execute(register("bob"))


async def test_reader_sees_one_snapshot(stage: Stage) -> None:
    """Events committed during the read are not visible."""
    await stage.create_agents("ann")
    async with stage.log.read() as transaction:
        before = await stage.log.head(transaction)
        await stage.execute(register("bob"))
        assert await stage.log.head(transaction) == before
        assert await stage.log.last_sequence(transaction, TENANT) == before.position
    async with stage.log.read() as transaction:
        assert (await stage.log.head(transaction)).position == before.position + 1


async def test_uncommitted_events_are_invisible(stage: Stage) -> None:
    await stage.create_agents("ann")
    with stage.database.hold():
        pending = stage.start(register("bob"))
        await stage.database.held.wait()
        assert await stage.log.committed_head() == 2
        assert stage.committed[-1][-1].position == 2
    await pending
    assert await stage.log.committed_head() == 3


async def test_log_can_be_followed_by_position(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.create_agents("cid", tenant=OTHER_TENANT)

    assert [event.position for event in await stage.log.after(0, limit=3)] == [1, 2, 3]
    assert [event.tenant for event in await stage.log.after(3, limit=9)] == [OTHER_TENANT] * 2
    assert await stage.log.after(5, limit=9) == []


async def test_actor_is_a_key_when_the_caller_is_no_agent(stage: Stage) -> None:
    await stage.execute(register("ann"))

    assert (await stage.events())[0].actor == ACTOR
