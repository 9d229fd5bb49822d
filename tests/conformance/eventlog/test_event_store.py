"""The event store: one gapless global order, a hash chain for each tenant, and no changes."""

import hashlib
import json
from itertools import chain
from typing import Any

import pytest

from quorate.eventlog import event_store as log_module
from quorate.eventlog import pages as event_pages
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
from tests.unit.support.specification import NOON, after

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


# -- Pages ---------------------------------------------------------------------


async def test_pages_are_contiguous(stage: Stage) -> None:
    await stage.create_agents(*(f"agent{number}" for number in range(9)))
    await stage.create_agents("stranger", tenant=OTHER_TENANT)

    seen, after, head = [], 0, 10
    while after < head:
        page = await stage.log.page(TENANT, after, limit=4, conditions=EVERYTHING)
        seen += [event.sequence for event in page.events]
        after, head = page.scanned_to, page.head

    assert seen == list(range(1, 11))


async def test_page_is_read_in_parts_up_to_its_size_limit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.create_agents(*(f"agent{number}" for number in range(8)))
    monkeypatch.setattr(event_pages, "FIRST_PART_MAX", 2)
    monkeypatch.setattr(event_pages, "PART_MAX", 2)

    async def pages(limit: int) -> list[list[int]]:
        read, after = list[list[int]](), 0
        while after < 9:
            page = await stage.log.page(TENANT, after, limit, EVERYTHING)
            read.append([event.sequence for event in page.events])
            after = page.scanned_to
        return read

    assert await pages(5) == [[1, 2, 3, 4, 5], [6, 7, 8, 9]]
    largest = max(len(event.data) for event in await stage.events())
    monkeypatch.setattr(event_pages, "PAGE_BYTES_MAX", 2 * largest + 1)
    read = await pages(9)
    assert list(chain.from_iterable(read)) == [*range(1, 10)]
    assert max(map(len, read)) < 9
    size = {event.sequence: len(event.data) for event in await stage.events()}
    assert all(sum(size[one] for one in page[:-1]) <= 2 * largest for page in read), "one too many"


async def test_page_beyond_the_end_is_empty_and_does_not_advance(stage: Stage) -> None:
    await stage.create_agents("ann")
    page = await stage.log.page(TENANT, after=7, limit=4, conditions=EVERYTHING)

    assert (page.events, page.head, page.scanned_to) == ([], 2, 7)


async def test_page_can_be_filtered_by_type(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    page = await stage.log.page(TENANT, 0, limit=9, conditions=Filter(type="AgentRegistered"))

    assert [event.sequence for event in page.events] == [2, 3]
    assert page.scanned_to == page.head == 4


async def test_page_can_be_filtered_by_agent(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    await stage.submit(acquire("bob"))
    await stage.submit(register("cid"), actor="agent_bob")
    page = await stage.log.page(TENANT, 0, limit=9, conditions=Filter(agent_id="agent_bob"))

    assert [event.sequence for event in page.events] == [3, 5, 6]


@pytest.mark.parametrize("agent_id", ["agent_%", "%", "agent__nn", "Kim@example.com\\"])
async def test_agent_filter_matches_complete_ids_only(stage: Stage, agent_id: str) -> None:
    await stage.create_agents("ann")
    page = await stage.log.page(TENANT, 0, limit=9, conditions=Filter(agent_id=agent_id))

    assert page.events == []


async def test_agent_filter_ignores_ids_in_user_text(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann", intent='call "agent_bob", quoted'))
    page = await stage.log.page(TENANT, 3, limit=9, conditions=Filter(agent_id="agent_bob"))

    assert page.events == []


async def test_empty_page_reports_how_far_it_scanned(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "SCAN_EVENTS_MAX", 4)
    await stage.create_agents(*(f"agent{number}" for number in range(9)))
    await stage.execute(acquire("agent0"))
    wanted = Filter(type="LeaseAcquired")

    looked_to = []
    page = await stage.log.page(TENANT, 0, limit=9, conditions=wanted)
    while page.scanned_to < page.head:
        assert page.events == []
        looked_to.append(page.scanned_to)
        page = await stage.log.page(TENANT, page.scanned_to, limit=9, conditions=wanted)

    assert looked_to == [4, 8]
    assert [event.sequence for event in page.events] == [11]


async def test_page_counts_the_events_that_were_read(stage: Stage) -> None:
    await stage.create_agents(*(f"agent{number}" for number in range(5)))
    stage.clock.move(minutes=1)
    since = stage.clock.now
    await stage.execute(register("late"), register("later"))
    stage.clock.move(minutes=1)
    future = stage.clock.now

    async def scanned(after: int, limit: int = 9, **conditions: Any) -> int:  # noqa: ANN401
        return (await stage.log.page(TENANT, after, limit, Filter(**conditions))).scanned

    assert await scanned(0, type="AgentRegistered") == 8
    assert await scanned(0, limit=3) == 3
    assert await scanned(6) == 2
    assert await scanned(8) == await scanned(100) == 0
    assert await scanned(0, since=since) == 2, "the time is found by index"
    assert await scanned(0, since=future) == 0
    assert await scanned(0, until=since) <= 7


async def test_log_can_be_followed_by_position(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.create_agents("cid", tenant=OTHER_TENANT)

    assert [event.position for event in await stage.log.after(0, limit=3)] == [1, 2, 3]
    assert [event.tenant for event in await stage.log.after(3, limit=9)] == [OTHER_TENANT] * 2
    assert await stage.log.after(5, limit=9) == []


async def test_actor_is_a_key_when_the_caller_is_no_agent(stage: Stage) -> None:
    await stage.execute(register("ann"))

    assert (await stage.events())[0].actor == ACTOR


# -- Filters -------------------------------------------------------------------


async def sequences(stage: Stage, **conditions: Any) -> list[int]:  # noqa: ANN401 - of Filter.
    """Return the sequences of all pages of a filtered log."""
    found, seen, head = [], 0, -1
    while seen != head:
        page = await stage.log.page(TENANT, seen, limit=2, conditions=Filter(**conditions))
        assert page.scanned_to > seen or page.scanned_to == page.head
        found += [event.sequence for event in page.events]
        seen, head = page.scanned_to, page.head
    return found


async def test_events_are_filtered_by_time(stage: Stage) -> None:
    await stage.create_agents("a1", "a2")  # Sequences 1 to 3, at noon.
    for _ in range(7):
        stage.clock.move(minutes=1)
        await stage.execute(register("a1"), register("a2"))  # Two events each minute.

    assert await sequences(stage, since=after(minutes=3)) == list(range(8, 18))
    assert await sequences(stage, until=after(minutes=1)) == [1, 2, 3]
    assert await sequences(stage, since=after(minutes=2), until=after(minutes=4)) == [*(6, 7, 8, 9)]
    assert await sequences(stage, since=after(minutes=3.5), until=after(minutes=4)) == []
    assert await sequences(stage, since=after(hours=1)) == []
    assert await sequences(stage, until=NOON) == []
    assert await sequences(stage, since=NOON, until=after(hours=1)) == list(range(1, 18))
    assert await sequences(stage, since=after(minutes=4), until=after(minutes=2)) == []


async def test_filter_by_time_applies_to_a_tenant_without_events(stage: Stage) -> None:
    page = await stage.log.page("nobody", 0, limit=5, conditions=Filter(since=NOON, until=NOON))

    assert (page.events, page.head, page.scanned_to) == ([], 0, 0)


async def test_events_are_filtered_by_actor(stage: Stage) -> None:
    await stage.create_agents("a1")
    await stage.submit(register("a1"), actor="agent_a1")

    assert await sequences(stage, actor="agent_a1") == [3]


async def test_events_are_filtered_by_contact(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(acquire("ann", KIM, lease="l1"), acquire("ann", LEE, lease="l2"))
    await stage.execute(propose("ann"))

    assert await sequences(stage, contact_key=KIM.key) == [
        event.sequence
        for event in await stage.events(TENANT)
        if f'"{KIM.key}"'.encode() in event.data
    ]
    assert await sequences(stage, contact_key=LEE.key) == [4]
    assert await sequences(stage, contact_key="im@example.com") == []
    assert await sequences(stage, contact_key="%") == []
