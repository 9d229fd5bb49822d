"""Event time never decreases, and it advances also when the system clock is set back."""

import pytest

from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.envelopes import Accepted
from quorate.runtime.clock import MonotonicClock
from tests.conformance.eventlog.conformance import Platform, Stage, body
from tests.unit.support.sample_commands import acquire, heartbeat, register
from tests.unit.support.specification import NOON, after

NANOSECONDS = 1_000_000  # Of a millisecond.


class Machine:
    """Two clocks: the wall clock can be set, the steady clock only advances."""

    def __init__(self) -> None:
        self.wall = NOON * NANOSECONDS
        self.steady = 7_000 * NANOSECONDS

    def run(self, *, minutes: float = 0, milliseconds: float = 0) -> None:
        passed = round((minutes * 60_000 + milliseconds) * NANOSECONDS)
        self.wall += passed
        self.steady += passed

    def set(self, *, hours: float) -> None:
        self.wall += round(hours * 3_600_000) * NANOSECONDS

    def clock(self) -> MonotonicClock:
        return MonotonicClock(lambda: self.wall, lambda: self.steady)


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


async def test_clock_set_back_neither_extends_nor_revives_a_lease(platform: Platform) -> None:
    machine = Machine()
    stage = Stage(platform, clock=machine.clock())
    await stage.open()
    try:
        await stage.create_agents("ann", "bob")
        await stage.execute(acquire("ann", minutes=4))
        machine.set(hours=-2)
        machine.run(minutes=3.9)
        await stage.execute(heartbeat("bob"))
        rejected = await stage.submit(acquire("bob"))
        machine.run(minutes=0.1)
        granted = await stage.submit(acquire("bob", lease="l2"))
    finally:
        await stage.close()

    assert not isinstance(rejected, Accepted)
    assert body(granted)["created_at"] == after(minutes=4)


async def test_event_time_advances_after_the_clock_was_set_back(platform: Platform) -> None:
    machine = Machine()
    stage = Stage(platform, clock=machine.clock())
    await stage.open()
    try:
        await stage.create_agents("ann")
        await stage.execute(acquire("ann", minutes=1))
        machine.set(hours=-2)
        for _ in range(3):
            machine.run(minutes=0.5)
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


# -- The clock -----------------------------------------------------------------


def test_monotonic_clock_starts_at_wall_time() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.run(milliseconds=1_234.5)

    assert clock() == after(milliseconds=1_234)


@pytest.mark.parametrize("hours", [-2, -1 / 3_600, -24 * 365])
def test_monotonic_clock_advances_when_the_wall_clock_is_set_back(hours: float) -> None:
    machine = Machine()
    clock = machine.clock()
    assert clock() == NOON
    machine.set(hours=hours)

    for minutes in range(1, 100):
        machine.run(minutes=1)
        assert clock() == after(minutes=minutes)


def test_monotonic_clock_jumps_when_the_wall_clock_is_set_forward() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set(hours=2)
    assert clock() == after(hours=2)
    machine.set(hours=-2)
    machine.run(minutes=1)
    assert clock() == after(hours=2, minutes=1)


@pytest.mark.parametrize("percent", [1, 0.01])
def test_fast_steady_clock_is_limited(percent: float) -> None:
    """The clock never goes back; it waits."""
    machine = Machine()
    clock = machine.clock()
    times = [clock()]
    for _ in range(1_000):
        machine.run(milliseconds=1_000)
        machine.set(hours=-percent / 100 / 3_600)  # The steady clock is fast by this much.
        clock.follow(lambda: machine.wall)
        times.append(clock())

        assert clock() - machine.wall // NANOSECONDS <= 1
    assert times == sorted(times)


def test_time_stands_still_while_a_shared_clock_is_behind() -> None:
    machine = Machine()
    clock = machine.clock()
    times = [clock()]
    machine.set(hours=-1)
    clock.follow(lambda: machine.wall, back=True)
    for _ in range(3):
        machine.run(minutes=30)
        times.append(clock())

    assert times == [NOON, NOON, NOON, after(minutes=30)]


def test_clock_advances_to_the_time_of_the_log() -> None:
    """The machine started with an old date."""
    machine = Machine()
    machine.set(hours=-5)
    clock = machine.clock()
    clock.advance_to(NOON)
    machine.run(minutes=1)
    assert clock() == after(minutes=1)
    machine.set(hours=6)
    assert clock() == after(hours=1, minutes=1)


def test_clock_ignores_a_log_that_is_behind() -> None:
    clock = Machine().clock()
    clock.advance_to(Timestamp(NOON - 1))

    assert clock() == NOON


def test_system_clocks_are_the_default() -> None:
    clock = MonotonicClock()
    first = clock()

    assert first > NOON
    assert clock() >= first
