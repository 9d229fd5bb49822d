"""A page is read in parts, and ends with the item that reaches its limit in bytes."""

import pytest

from quorate.eventlog.pages import FIRST_PART_MAX, PART_MAX, PageBuilder

BYTES_MAX = 1_000


def read(sizes: list[int], limit: int) -> tuple[list[int], bool, list[int]]:
    """Return the items, whether more may follow, and the lengths of the parts that were read."""
    page = PageBuilder(limit, int, lambda size: size, BYTES_MAX)
    parts: list[int] = []
    position = 0
    while page.needs_part:
        part = sizes[position : position + page.part_limit]
        parts.append(page.part_limit)
        page.add(part)
        position += len(part)
    return page.items, page.has_more, parts


@pytest.mark.parametrize(
    ("sizes", "limit", "expected", "has_more"),
    [
        ([], 10, [], False),
        ([1] * 3, 10, [1] * 3, False),
        ([1] * 3, 3, [1] * 3, True),  # Whether more follow is not known.
        ([1] * 300, 250, [1] * 250, True),
        ([400] * 9, 9, [400] * 3, True),
        ([5_000, 1], 9, [5_000], True),  # One item is always returned.
        ([400, 600], 9, [400, 600], False),
        ([0] * 50, 40, [0] * 40, True),
    ],
)
def test_page_ends_at_its_limits(
    sizes: list[int], limit: int, expected: list[int], has_more: bool
) -> None:
    assert read(sizes, limit)[:2] == (expected, has_more)


def test_parts_are_small_when_items_are_large() -> None:
    _, _, small = read([1] * 900, 900)
    _, _, large = read([30] * 900, 900)

    assert small[0] == large[0] == FIRST_PART_MAX
    assert max(small) == PART_MAX
    assert sum(large) * 30 <= BYTES_MAX + 30 * len(large), "few rows are read in vain"
