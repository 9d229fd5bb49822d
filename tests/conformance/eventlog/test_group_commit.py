"""While one batch commits, the next is gathered; followers of the log miss no event."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest

from quorate.domain.shared.email_addresses import EmailAddress
from quorate.eventlog import command_bus as bus_module
from quorate.eventlog.command_queue import CommandQueue
from quorate.eventlog.envelopes import Accepted, Rejected, Unavailable
from quorate.eventlog.event_filter import Filter
from quorate.eventlog.recorded_event import RecordedEvent
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT, WAIT_SECONDS_MAX, Stage
from tests.unit.support.sample_commands import KIM, acquire, heartbeat, key_of, register, release

WRITERS = 16
READERS = 8
ROUNDS = 40
EVERYTHING = Filter()


def contact(number: int) -> EmailAddress:
    return EmailAddress(email=f"c{number}@example.com", key=f"c{number}@example.com")


async def test_commands_that_arrive_during_a_commit_are_committed_together(stage: Stage) -> None:
    await stage.create_agents("ann")
    before = stage.database.commits
    with stage.database.hold():
        first = stage.start(acquire("ann", contact(0), lease="l0"))
        await stage.database.held.wait()
        others = [
            stage.start(acquire("ann", contact(number), lease=f"l{number}"))
            for number in range(1, 301)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(first, *others)

    assert stage.database.commits == before + 2
    assert [len(batch) for batch in stage.committed[-2:]] == [1, 300]


async def test_batch_size_is_limited(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "CommandQueue", partial(CommandQueue, batch_commands_max=7))
    await stage.restart()
    await stage.create_agents("ann")
    pending = [stage.start(register(f"agent{number}")) for number in range(20)]
    await asyncio.gather(*pending)

    assert [len(batch) for batch in stage.committed[-3:]] == [7, 7, 6]


async def test_commands_are_decided_in_order_of_arrival(stage: Stage) -> None:
    await stage.create_agents("ann")
    pending = [
        stage.start(acquire("ann", contact(number), lease=f"l{number}")) for number in range(50)
    ]
    answers = await asyncio.gather(*pending)

    assert [result.sequence for result in answers] == list(range(3, 53))


async def test_command_sees_effects_of_earlier_commands_in_its_batch(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    pending = [
        stage.start(acquire("ann", lease="l1")),
        stage.start(acquire("bob", lease="l2")),
        stage.start(release("l1", by=key_of("ann"))),
        stage.start(acquire("bob", lease="l3")),
        stage.start(acquire("ann", lease="l4")),
    ]
    answers = await asyncio.gather(*pending)

    assert [type(result) for result in answers] == [
        Accepted,
        Rejected,
        Accepted,
        Accepted,
        Rejected,
    ]
    assert len(stage.committed[-1]) == 5
    assert (await stage.types())[3:] == [
        "LeaseAcquired",
        "LeaseConflicted",
        "LeaseReleased",
        "LeaseAcquired",
        "LeaseConflicted",
    ]


async def test_one_of_500_concurrent_requests_gets_the_contact(stage: Stage) -> None:
    agents = [f"agent{number}" for number in range(50)]
    await stage.create_agents(*agents)
    pending = [
        stage.start(acquire(agents[number % 50], KIM, lease=f"l{number}")) for number in range(500)
    ]
    answers = await asyncio.gather(*pending)

    types = await stage.types()
    assert types.count("LeaseAcquired") == 1
    assert (
        sum(isinstance(result, Accepted) for result in answers) == 10
    )  # It submitted ten commands.
    assert types.count("LeaseConflicted") == 490


async def test_batch_keeps_tenants_isolated(stage: Stage) -> None:
    for tenant in (TENANT, OTHER_TENANT):
        await stage.create_agents("ann", tenant=tenant)
    pending = [
        stage.start(acquire("ann", contact(number // 2), lease=f"l{number}"), tenant=tenant)
        for number, tenant in enumerate([TENANT, OTHER_TENANT] * 20)
    ]
    answers = await asyncio.gather(*pending)

    assert all(isinstance(result, Accepted) for result in answers)
    assert [result.sequence for result in answers[::2]] == list(range(3, 23))
    assert [result.sequence for result in answers[1::2]] == list(range(3, 23))


async def test_follower_sees_every_event_in_order_under_concurrent_writes(stage: Stage) -> None:
    """E5: after position n a reader never sees a new smaller position."""
    await stage.create_agents("ann")
    writing = [asyncio.create_task(_write(stage, number)) for number in range(WRITERS)]
    done = asyncio.Event()
    following = [
        asyncio.create_task(_follow(_positions(stage, number), done)) for number in range(READERS)
    ]
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await asyncio.gather(*writing)
        done.set()
        seen = await asyncio.gather(*following)

    head = await stage.log.committed_head()
    assert head == 2 + WRITERS * ROUNDS
    assert all(positions == list(range(1, head + 1)) for positions in seen)


async def test_tenant_follower_sees_events_in_order(stage: Stage) -> None:
    for tenant in (TENANT, OTHER_TENANT):
        await stage.create_agents("ann", tenant=tenant)
    writing = [
        asyncio.create_task(_write(stage, number, tenant=(TENANT, OTHER_TENANT)[number % 2]))
        for number in range(WRITERS)
    ]
    done = asyncio.Event()
    following = [
        asyncio.create_task(_follow(_sequences(stage, tenant), done))
        for tenant in (TENANT, OTHER_TENANT)
    ]
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await asyncio.gather(*writing)
        done.set()
        seen = await asyncio.gather(*following)

    assert seen == [list(range(1, 3 + WRITERS * ROUNDS // 2))] * 2


Look = Callable[[int], Awaitable[tuple[Sequence[int], int]]]


async def _write(stage: Stage, number: int, tenant: str = TENANT) -> None:
    chance = random.Random(number)
    for turn in range(ROUNDS):
        lease = f"l{number}-{turn}"
        where = contact(number * ROUNDS + turn)
        await stage.execute(acquire("ann", where, lease=lease), tenant=tenant)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)


def _positions(stage: Stage, number: int) -> Look:
    chance = random.Random(number)

    async def look(after: int) -> tuple[Sequence[int], int]:
        events: Sequence[RecordedEvent] = await stage.log.after(
            after, limit=chance.randrange(1, 50)
        )
        return [event.position for event in events], await stage.log.committed_head()

    return look


def _sequences(stage: Stage, tenant: str) -> Look:
    async def look(after: int) -> tuple[Sequence[int], int]:
        page = await stage.log.page(tenant, after, limit=17, conditions=EVERYTHING)
        assert page.scanned_to <= page.head
        return [event.sequence for event in page.events], page.head

    return look


async def _follow(look: Look, done: asyncio.Event) -> list[int]:
    """Read from the last seen position until the writers are done and nothing is left."""
    seen: list[int] = []
    while True:
        last_look = done.is_set()
        found, head = await look(seen[-1] if seen else 0)
        seen += found
        if last_look and seen[-1] == head:
            return seen
        await asyncio.sleep(0)


# -- Limits and shutdown --------------------------------------------------------


async def test_full_queue_rejects_commands(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bus_module,
        "CommandQueue",
        partial(CommandQueue, queue_commands_max=3, urgent_capacity=0),
    )
    await stage.restart()
    await stage.create_agents("ann")
    with stage.database.hold():
        first = stage.start(heartbeat("ann"))
        await stage.database.held.wait()
        queued = [stage.start(register(f"agent{number}")) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await stage.submit(register("one too many"))
    await asyncio.gather(first, *queued)

    await stage.execute(register("later"))
    assert (await stage.types()).count("AgentRegistered") == 5


async def test_close_finishes_accepted_commands(stage: Stage) -> None:
    await stage.create_agents("ann")
    with stage.database.hold():
        taken = [stage.start(register("first"))]
        await stage.database.held.wait()
        taken += [stage.start(register(f"agent{number}")) for number in range(600)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(stage.command_bus.close())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await stage.submit(register("late"))
    answers = await asyncio.gather(*taken)
    await closing

    assert all(isinstance(result, Accepted) for result in answers)
    assert (await stage.types()).count("AgentRegistered") == 602


async def test_close_is_bounded_and_completes_all_callers(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting callers get the error that the outcome is unknown."""
    monkeypatch.setattr(bus_module, "DRAIN_SECONDS_MAX", 0.05)
    await stage.create_agents("ann")
    with stage.database.hold():
        pending = [stage.start(register("bob"))]
        await stage.database.held.wait()
        pending += [stage.start(register("cid"))]
        await asyncio.sleep(0)
        await stage.command_bus.close()
        answers = await asyncio.gather(*pending, return_exceptions=True)

    assert [type(result) for result in answers] == [Unavailable, Unavailable]
    assert await stage.types() == ["TenantCreated", "AgentRegistered"]


@pytest.mark.parametrize("listener", ["_on_commit", "_on_batch"])
async def test_commit_stays_when_the_listener_fails(stage: Stage, listener: str) -> None:
    """The commit is not repeated."""
    await stage.create_agents("ann")

    def stumble(*_: object) -> None:
        raise RuntimeError("planted")

    setattr(stage.command_bus, listener, stumble)
    await asyncio.gather(*(stage.submit(register(name)) for name in ("bob", "cid")))

    assert await stage.types() == ["TenantCreated", *["AgentRegistered"] * 3]


# -- Cancelled callers ---------------------------------------------------------


@pytest.mark.parametrize("where", ["in the queue", "in the transaction"])
async def test_cancelled_caller_leaves_no_partial_command(stage: Stage, where: str) -> None:
    await stage.create_agents("ann", "bob")
    with stage.database.hold():
        first = stage.start(heartbeat("bob") if where == "in the queue" else acquire("ann"))
        await stage.database.held.wait()
        leaving = stage.start(acquire("ann")) if where == "in the queue" else first
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
    await asyncio.wait([first])

    await stage.execute(register("cid"))  # All earlier commands are complete by now.
    assert leaving.cancelled()
    assert (await stage.types()).count("LeaseAcquired") == 1
    await stage.execute(release("new-lease", by=key_of("ann")))
    await stage.log.verify_range(0, await stage.log.committed_head())


async def test_cancelled_readers_leave_connections_usable(stage: Stage) -> None:
    """None of SQLite's four readers may keep an open transaction."""
    await stage.create_agents("ann", "bob")
    for patience in range(40):
        reading = asyncio.create_task(stage.log.page(TENANT, 0, limit=9, conditions=EVERYTHING))
        for _ in range(patience):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])

    for number in range(8):
        await stage.execute(register(f"agent{number}"))
        pages = [stage.log.page(TENANT, 0, limit=99, conditions=EVERYTHING) for _ in range(4)]
        assert [page.head for page in await asyncio.gather(*pages)] == [4 + number] * 4
