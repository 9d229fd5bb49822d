"""However requests come, no more pass than a bucket allows, and what is kept is there when needed.

Time is a number that these tests set.
"""

from hypothesis import given
from hypothesis import strategies as st

from quorate.application.token_buckets import TOLERANCE_TOKENS, Buckets
from tests.e2e.client.clocks import SetClock

A_TOUCH = 2 * TOLERANCE_TOKENS

rates = st.floats(0.1, 10_000.0)
bursts = st.integers(1, 200)
pauses = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=100)


def passes(buckets: Buckets, name: str = "ann", kept_share: float = 0.0) -> bool:
    if buckets.wait(name, kept_share):
        return False
    buckets.take(name)
    return True


def passed_of(many: int, buckets: Buckets, name: str = "ann", kept_share: float = 0.0) -> int:
    return sum(passes(buckets, name, kept_share) for _ in range(many))


@given(rates, bursts, pauses, st.integers(1, 50))
def test_in_any_time_no_more_pass_than_the_burst_and_what_came_in_since(
    rate: float, burst: int, waits: list[float], at_once: int
) -> None:
    clock = SetClock()
    buckets = Buckets(rate, burst, monotonic=clock)
    passed: list[tuple[float, int]] = []
    for wait in waits:
        clock.pass_(wait)
        passed.append((clock(), passed_of(at_once, buckets)))

    for first in range(len(passed)):
        total = 0
        for at, count in passed[first:]:
            total += count
            assert total <= burst + rate * (at - passed[first][0]) + A_TOUCH


@given(rates, bursts, pauses)
def test_who_waits_as_long_as_told_passes_and_not_much_sooner(
    rate: float, burst: int, waits: list[float]
) -> None:
    clock = SetClock()
    buckets = Buckets(rate, burst, monotonic=clock)
    for pause in waits:
        clock.pass_(pause)
        while passes(buckets):
            pass
        wait = buckets.wait("ann")
        assert wait <= (1 + A_TOUCH) / rate
        clock.pass_(wait / 2)
        assert not passes(buckets)
        clock.pass_(wait / 2)
        assert passes(buckets)


@given(bursts, st.floats(0.0, 1.0), st.integers(0, 500))
def test_what_is_kept_is_there_however_many_of_the_others_came(
    burst: int, kept_share: float, many: int
) -> None:
    buckets = Buckets(10.0, burst, monotonic=SetClock())
    passed = passed_of(many, buckets, kept_share=kept_share)

    left = passed_of(burst + 1, buckets)
    assert passed + left == burst
    assert left >= min(int(burst * kept_share), burst - 1)


@given(bursts, st.floats(0.0, 1.0))
def test_nobody_is_kept_out_for_good(burst: int, kept_share: float) -> None:
    """Even where all of the bucket should be kept: a full one lets one pass."""
    assert passes(Buckets(1.0, burst, monotonic=SetClock()), kept_share=kept_share)


def test_being_refused_costs_nothing() -> None:
    clock = SetClock()
    buckets = Buckets(1.0, 2, monotonic=clock)
    assert passed_of(1_000, buckets) == 2

    clock.pass_(1.0)
    assert passed_of(1_000, buckets) == 1


def test_one_name_knows_nothing_of_another() -> None:
    buckets = Buckets(1.0, 2, monotonic=SetClock())
    passed_of(10, buckets, "ann")

    assert passed_of(10, buckets, "bob") == 2


def test_a_crowd_of_names_makes_nobody_forgotten_who_has_not_waited() -> None:
    clock = SetClock()
    buckets = Buckets(1.0, 2, names_max=100, monotonic=clock)
    passed_of(10, buckets, "ann")
    for number in range(10_000):
        passes(buckets, f"stranger{number}")

    assert len(buckets) == 100
    assert not passes(buckets, "ann")
    assert passes(buckets, "one without a place")


def test_full_buckets_are_forgotten_as_others_come() -> None:
    clock = SetClock()
    buckets = Buckets(1.0, 2, names_max=100, monotonic=clock)
    for number in range(100):
        passes(buckets, f"early{number}")
    clock.pass_(3.0)
    for number in range(60):
        passes(buckets, f"late{number}")

    assert len(buckets) == 60


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0.0, 2.0)), max_size=200))
def test_forgetting_changes_nothing(deeds: list[tuple[str, float]]) -> None:
    """A table with room for all, and one that must forget: both let the same pass."""
    clock = SetClock()
    roomy = Buckets(1.0, 2, monotonic=clock)
    narrow = Buckets(1.0, 2, names_max=8, monotonic=clock)
    for name, pause in deeds:
        clock.pass_(pause)
        assert passes(roomy, name) == passes(narrow, name)
