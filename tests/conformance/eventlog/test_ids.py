"""Ids sort by time, are unique, and do not reveal the activity of tenants."""

from uuid import RFC_4122, UUID

import pytest

from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.ids import Uuid7, key_id
from tests.unit.support.specification import NOON, after

MANY = 10_000
MILLISECOND_BITS = 80


def test_id_is_a_uuid_of_version_7() -> None:
    found = UUID(Uuid7()(NOON))

    assert (found.version, found.variant) == (7, RFC_4122)
    assert str(found) == str(found).lower()


@pytest.mark.parametrize("at", [Timestamp(0), NOON, Timestamp(2**48 - 1)])
def test_id_begins_with_the_time(at: Timestamp) -> None:
    assert UUID(Uuid7()(at)).int >> MILLISECOND_BITS == at


def test_ids_sort_by_time_as_text() -> None:
    new_id = Uuid7()
    ids = [new_id(after(milliseconds=number)) for number in range(1_000)]

    assert ids == sorted(ids)


def test_ids_of_one_millisecond_differ_and_are_not_sequential() -> None:
    new_id = Uuid7()
    ids = [new_id(NOON) for _ in range(MANY)]

    assert len(set(ids)) == MANY
    assert ids != sorted(ids)


def test_every_random_bit_is_used() -> None:
    new_id = Uuid7()
    ones, zeros = 0, 0
    for _ in range(200):
        number = UUID(new_id(NOON)).int
        ones, zeros = ones | number, zeros | ~number
    random_bits = (2**62 - 1) | (2**12 - 1) << 64

    assert ones & random_bits == random_bits
    assert zeros & random_bits == random_bits


def test_random_source_is_used() -> None:
    first, second = Uuid7(bytes), Uuid7(lambda count: b"\xff" * count)

    assert first(NOON) == "019ca945-0a00-7000-8000-000000000000"
    assert second(NOON) == "019ca945-0a00-7fff-bfff-ffffffffffff"


def test_key_id_is_lower_case_alphanumeric() -> None:
    assert len({key_id() for _ in range(100)}) == 100
    assert all(
        (len(item) == 16 and item.isalnum() and item.islower()) or item.isdigit()
        for item in (key_id() for _ in range(100))
    )
