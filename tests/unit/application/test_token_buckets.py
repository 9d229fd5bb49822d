"""Token buckets never accept more than burst and rate allow, and keep the reserve.

The tests set the time.
"""

from hypothesis import given
from hypothesis import strategies as st

from quorate.application.token_buckets import TOLERANCE_TOKENS, TokenBuckets
from tests.e2e.client.clocks import SetClock

TOLERANCE = 2 * TOLERANCE_TOKENS

rates = st.floats(0.1, 10_000.0)
bursts = st.integers(1, 200)
pauses = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=100)


def accepts(buckets: TokenBuckets, name: str = "ann", reserve: float = 0.0) -> bool:
    if buckets.wait(name, reserve):
        return False
    buckets.take(name)
    return True


def count_accepted(
    attempts: int, buckets: TokenBuckets, name: str = "ann", reserve: float = 0.0
) -> int:
    return sum(accepts(buckets, name, reserve) for _ in range(attempts))


@given(rates, bursts, pauses, st.integers(1, 50))
def test_bucket_accepts_at_most_burst_plus_rate_times_duration(
    rate: float, burst: int, waits: list[float], at_once: int
) -> None:
    clock = SetClock()
    buckets = TokenBuckets(rate, burst, monotonic=clock)
    accepted: list[tuple[float, int]] = []
    for wait in waits:
        clock.advance(wait)
        accepted.append((clock(), count_accepted(at_once, buckets)))

    for first in range(len(accepted)):
        total = 0
        for at, count in accepted[first:]:
            total += count
            assert total <= burst + rate * (at - accepted[first][0]) + TOLERANCE


@given(rates, bursts, pauses)
def test_bucket_accepts_after_the_wait_and_not_after_half_of_it(
    rate: float, burst: int, waits: list[float]
) -> None:
    clock = SetClock()
    buckets = TokenBuckets(rate, burst, monotonic=clock)
    for pause in waits:
        clock.advance(pause)
        while accepts(buckets):
            pass
        wait = buckets.wait("ann")
        assert wait <= (1 + TOLERANCE) / rate
        clock.advance(wait / 2)
        assert not accepts(buckets)
        clock.advance(wait / 2)
        assert accepts(buckets)


@given(bursts, st.floats(0.0, 1.0), st.integers(0, 500))
def test_bucket_keeps_the_reserve(burst: int, reserve: float, attempts: int) -> None:
    buckets = TokenBuckets(10.0, burst, monotonic=SetClock())
    accepted = count_accepted(attempts, buckets, reserve=reserve)

    left = count_accepted(burst + 1, buckets)
    assert accepted + left == burst
    assert left >= min(int(burst * reserve), burst - 1)


@given(bursts, st.floats(0.0, 1.0))
def test_full_bucket_accepts_a_request_with_any_reserve(burst: int, reserve: float) -> None:
    """Even with a reserve of the full bucket, a full bucket accepts one request."""
    assert accepts(TokenBuckets(1.0, burst, monotonic=SetClock()), reserve=reserve)


def test_rejected_request_takes_no_token() -> None:
    clock = SetClock()
    buckets = TokenBuckets(1.0, 2, monotonic=clock)
    assert count_accepted(1_000, buckets) == 2

    clock.advance(1.0)
    assert count_accepted(1_000, buckets) == 1


def test_buckets_of_different_names_are_independent() -> None:
    buckets = TokenBuckets(1.0, 2, monotonic=SetClock())
    count_accepted(10, buckets, "ann")

    assert count_accepted(10, buckets, "bob") == 2


def test_table_keeps_buckets_in_use_when_it_is_full() -> None:
    clock = SetClock()
    buckets = TokenBuckets(1.0, 2, names_max=100, monotonic=clock)
    count_accepted(10, buckets, "ann")
    for number in range(10_000):
        accepts(buckets, f"other{number}")

    assert len(buckets) == 100
    assert not accepts(buckets, "ann")
    assert accepts(buckets, "name without a bucket")


def test_table_discards_full_buckets_when_new_names_arrive() -> None:
    clock = SetClock()
    buckets = TokenBuckets(1.0, 2, names_max=100, monotonic=clock)
    for number in range(100):
        accepts(buckets, f"early{number}")
    clock.advance(3.0)
    for number in range(60):
        accepts(buckets, f"late{number}")

    assert len(buckets) == 60


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0.0, 2.0)), max_size=200))
def test_discarding_changes_no_decision(requests: list[tuple[str, float]]) -> None:
    """A table that discards buckets accepts the same requests as one with room for all."""
    clock = SetClock()
    roomy = TokenBuckets(1.0, 2, monotonic=clock)
    narrow = TokenBuckets(1.0, 2, names_max=8, monotonic=clock)
    for name, pause in requests:
        clock.advance(pause)
        assert accepts(roomy, name) == accepts(narrow, name)
