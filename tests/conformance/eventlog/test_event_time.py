"""Event time never decreases, and it advances also when the system clock is set back."""

import pytest

from quorate.domain.shared.deadlines import RecordDue
from quorate.eventlog.envelopes import Accepted
from tests.conformance.eventlog.conformance import Key, Platform, Stage, body
from tests.unit.support.machine import Machine
from tests.unit.support.sample_commands import acquire, heartbeat, register
from tests.unit.support.specification import NOON, after

# -- Event time ----------------------------------------------------------------


async def test_events_of_one_batch_have_the_same_time(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.clock.move(minutes=1)
    await stage.execute(register("bob"))

    assert [event.at for event in await stage.events()] == [NOON, NOON, after(minutes=1)]


@pytest.mark.parametrize("hours", [-2, -1 / 3_600, -24 * 365])
async def test_event_time_does_not_decrease_when_the_clock_does(stage: Stage, hours: float) -> None:
    await stage.create_agents("ann")
    stage.clock.move(hours=hours)
    await stage.execute(register("bob"))
    stage.clock.move(hours=-hours, minutes=1)
    await stage.execute(register("cid"))

    assert [event.at for event in await stage.events()] == [NOON, NOON, NOON, after(minutes=1)]


async def test_event_time_does_not_decrease_over_a_restart(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.clock.move(hours=-2)
    await stage.restart()
    await stage.execute(register("bob"))

    assert [event.at for event in await stage.events()] == [NOON] * 3


async def test_decisions_use_the_event_time(stage: Stage) -> None:
    await stage.create_agents("ann")
    stage.clock.move(hours=-2)
    result = await stage.submit(acquire("ann", minutes=30))

    assert body(result)["created_at"] == NOON
    assert body(result)["expires_at"] == after(minutes=30)


async def test_clock_set_back_extends_a_lease_by_a_ninth_at_most(platform: Platform) -> None:
    machine = Machine()
    stage = Stage(platform, clock=machine.clock())
    await stage.open()
    try:
        await stage.create_agents("ann", "bob")
        await stage.execute(acquire("ann", minutes=4))
        machine.set(hours=-2)
        machine.run(minutes=4)
        await stage.execute(heartbeat("bob"))
        rejected = await stage.submit(acquire("bob"))
        machine.run(minutes=4 / 9)
        granted = await stage.submit(acquire("bob", lease="l2"))
    finally:
        await stage.close()

    assert not isinstance(rejected, Accepted)
    assert body(granted)["created_at"] == after(minutes=4)


async def test_jump_of_a_moment_ends_no_lease_and_forgets_no_answer(platform: Platform) -> None:
    machine = Machine()
    clock = machine.clock()
    stage = Stage(platform, clock=clock, age_clock=clock.cautious)
    await stage.open()
    try:
        await stage.create_agents("ann", "bob")
        granted = await stage.submit(acquire("ann", minutes=4), key=Key(key="k"))
        for jump in (24 * 4, -24 * 4):
            machine.set(hours=jump)
            await stage.execute(RecordDue(aggregate="lease", id="new-lease"))
            stage.command_bus.prune_answers()
            machine.run(minutes=1 / 30)
        refused = await stage.submit(acquire("bob", lease="l2"))
        again = await stage.submit(acquire("ann", minutes=4), key=Key(key="k"))
    finally:
        await stage.close()

    assert not isinstance(refused, Accepted)
    assert body(again) == body(granted)


async def test_jump_that_lasts_forgets_no_answer(platform: Platform) -> None:
    machine = Machine()
    clock = machine.clock()
    stage = Stage(platform, clock=clock, age_clock=clock.cautious)
    await stage.open()
    try:
        await stage.create_agents("ann")
        granted = await stage.submit(register("bob"), key=Key(key="k"))
        machine.set(hours=24 * 4)
        clock()
        machine.run(minutes=2)
        stage.command_bus.prune_answers()
        await stage.execute(register("ann"))
        again = await stage.submit(register("bob"), key=Key(key="k"))
        last = (await stage.events())[-1].at
    finally:
        await stage.close()

    assert body(again) == body(granted)
    assert last == after(hours=24 * 4, minutes=2)


async def test_event_time_advances_after_the_clock_was_set_back(platform: Platform) -> None:
    machine = Machine()
    stage = Stage(platform, clock=machine.clock())
    await stage.open()
    try:
        await stage.create_agents("ann")
        await stage.execute(acquire("ann", minutes=1))
        machine.set(hours=-2)
        for _ in range(3):
            machine.run(minutes=0.5 * 10 / 9)
            await stage.execute(RecordDue(aggregate="lease", id="new-lease"))
            await stage.execute(register("ann"))
        times = [event.at for event in await stage.events()][3:]
    finally:
        await stage.close()

    assert times == [
        after(seconds=30),
        after(minutes=1),  # The lease expired at its stated time.
        after(minutes=1),
        after(minutes=1.5),
    ]
