"""The model of more cores: what bounds the rate, and what it says of one core."""

import pytest

from quorate.bench.scaling import MICROSECONDS, Profile, simulate

PROFILE = Profile(http=160, writer=120, batch=0, other=40)
SUM = 160 + 120 + 40


def test_one_core_does_the_work_of_all_processes() -> None:
    assert simulate(PROFILE, cores=1, workers=1) == pytest.approx(MICROSECONDS / SUM, rel=0.02)


def test_two_cores_do_twice_as_much_while_neither_is_idle() -> None:
    rate = simulate(PROFILE, cores=2, workers=2)

    assert MICROSECONDS / SUM * 1.7 < rate <= MICROSECONDS / SUM * 2.01


def test_writer_bounds_the_rate_of_many_cores() -> None:
    assert simulate(PROFILE, cores=16, workers=15) == pytest.approx(MICROSECONDS / 120, rel=0.05)


def test_few_workers_bound_the_rate_before_the_writer() -> None:
    assert simulate(PROFILE, cores=16, workers=1) == pytest.approx(MICROSECONDS / 160, rel=0.05)


def test_commands_of_many_clients_share_a_batch() -> None:
    costly = Profile(http=10, writer=10, batch=2_000, other=0)
    alone = simulate(costly, cores=8, workers=4, clients=1)

    assert alone == pytest.approx(MICROSECONDS / 2_020, rel=0.02)
    assert simulate(costly, cores=8, workers=4, clients=256) > 50 * alone
