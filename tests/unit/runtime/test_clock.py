"""Time never goes back, continues when the wall clock is set, and ignores jumps of a moment."""

import pytest

from quorate.domain.shared.timestamps import Timestamp
from quorate.runtime.clock import CONFIRM_NANOSECONDS, MonotonicClock
from tests.unit.support.machine import NANOSECONDS, Machine
from tests.unit.support.specification import NOON, after

CONFIRM_MINUTES = CONFIRM_NANOSECONDS / 60_000_000_000
FOUR_DAYS = 4 * 24


def test_clock_starts_at_wall_time() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.run(milliseconds=1_234.5)

    assert clock() == after(milliseconds=1_234)


@pytest.mark.parametrize("hours", [-2, -1 / 900, -24 * 365])
def test_clock_advances_when_the_wall_clock_is_set_back(hours: float) -> None:
    """By a tenth slower until the wall clock has caught up; it is never slower than that."""
    machine = Machine()
    clock = machine.clock()
    assert clock() == NOON
    machine.set(hours=hours)

    for minutes in range(1, 100):
        machine.run(minutes=1)
        wall = machine.wall // NANOSECONDS
        assert clock() == pytest.approx(max(wall, after(minutes=0.9 * minutes)), abs=1)
    assert clock.seconds_ahead == pytest.approx((clock() - wall) / 1_000, abs=0.01)


@pytest.mark.parametrize("hours", [2, FOUR_DAYS, 1 / 1_800])
def test_jump_of_a_moment_changes_nothing(hours: float) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set(hours=hours)
    assert clock() == NOON
    machine.run(milliseconds=1_999)
    assert clock() == after(milliseconds=1_999)
    assert clock.seconds_ahead == pytest.approx(-hours * 3_600)
    machine.set(hours=-hours)
    machine.run(minutes=2 * CONFIRM_MINUTES)
    assert clock() == after(milliseconds=1_999, minutes=2 * CONFIRM_MINUTES)
    assert clock.seconds_ahead == 0


def test_jumps_of_a_moment_do_not_add_up() -> None:
    machine = Machine()
    clock = machine.clock()
    for _ in range(3):
        machine.set(hours=FOUR_DAYS)
        clock()
        machine.run(minutes=CONFIRM_MINUTES / 2)
        clock()
        machine.set(hours=-FOUR_DAYS)
        machine.run(minutes=CONFIRM_MINUTES / 2)
        clock()

    assert clock() == after(minutes=3 * CONFIRM_MINUTES)


def test_clock_follows_a_jump_that_lasts() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set(hours=2)
    clock()
    machine.run(minutes=CONFIRM_MINUTES)
    assert clock() == after(hours=2, minutes=CONFIRM_MINUTES)
    assert clock.cautious() == after(minutes=CONFIRM_MINUTES)


def test_ages_count_again_days_after_a_jump() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set(hours=2)
    clock()
    machine.run(minutes=CONFIRM_MINUTES)
    clock()
    machine.run(minutes=8 * 24 * 60)

    assert clock.cautious() == clock()


def test_small_differences_are_followed_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.set(hours=0.5 / 3_600)

    assert clock() == after(milliseconds=500)


@pytest.mark.parametrize("percent", [1, 0.01])
def test_fast_steady_clock_is_limited(percent: float) -> None:
    """The clock never goes back; it waits."""
    machine = Machine()
    clock = machine.clock()
    times = [clock()]
    for _ in range(1_000):
        machine.run(milliseconds=1_000)
        machine.set(hours=-percent / 100 / 3_600)  # The steady clock is fast by this much.
        times.append(clock())

        assert clock() - machine.wall // NANOSECONDS <= 1
    assert times == sorted(times)


def test_clock_advances_to_the_time_of_the_log() -> None:
    """The machine started with an old date."""
    machine = Machine()
    machine.set(hours=-5)
    clock = machine.clock()
    clock.advance_to(NOON)
    machine.run(minutes=1)
    assert clock() == after(minutes=0.9)
    assert clock.cautious() == after(minutes=0.9)
    machine.set(hours=5)
    clock()
    machine.run(minutes=CONFIRM_MINUTES)
    assert clock() == after(minutes=1 + CONFIRM_MINUTES)


def test_clock_ignores_a_log_that_is_behind() -> None:
    clock = Machine().clock()
    clock.advance_to(Timestamp(NOON - 1))

    assert clock() == NOON


def test_system_clocks_are_the_default() -> None:
    clock = MonotonicClock()
    first = clock()

    assert first > NOON
    assert clock() >= first


# -- A clock that several processes share -------------------------------------------


def test_clock_continues_until_the_processes_agree() -> None:
    machine = Machine()
    clock = machine.clock()
    for _ in range(2):
        assert clock.follow(lambda: machine.wall)
    machine.set(hours=-1)
    assert not clock.follow(lambda: machine.wall)
    machine.run(minutes=1)
    assert clock() == pytest.approx(after(minutes=1), abs=6_000)


def test_time_stands_still_while_a_shared_clock_stays_behind() -> None:
    """The processes decide by it, whatever the clocks of this machine show."""
    machine = Machine()
    clock = machine.clock()
    times = [clock()]
    for _ in range(2):
        clock.follow(lambda: machine.wall)
    machine.set(hours=-1)
    for _ in range(2):
        clock.follow(lambda: machine.wall)
    assert not clock.is_trusted
    for _ in range(3):
        machine.run(minutes=30)
        clock.follow(lambda: machine.wall)
        times.append(clock())

    assert times == [NOON, NOON, NOON, after(minutes=30)]
