"""Read pages in parts, with a limit on their size in bytes.

* An event or a row may have a hundred bytes or, with a large electorate, megabytes. A page has at
  most the requested number of items, and it ends with the item that reaches its limit in bytes.
* The first part is short. The size of its items tells how many the next part may have.
* Each part is a round trip to the database, so other requests run between two parts.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
PAGE_BYTES_MAX = 1024 * 1024
# Of a page that is served over NATS, whose messages have a maximum size.
NATS_PAGE_BYTES_MAX = 512 * 1024
FIRST_PART_MAX = 20
PART_MAX = 100


class PageBuilder(Generic[T]):
    """Collects the items of one page; ``size`` returns the bytes that an item takes."""

    def __init__(
        self,
        limit: int,
        from_row: Callable[[Any], T],
        size: Callable[[T], int],
        bytes_max: int,
    ) -> None:
        self.items: list[T] = []
        self.has_more = True  # The last part was full or was cut, so more items may follow.
        self._limit = limit
        self._from_row = from_row
        self._size = size
        self._bytes = 0
        self._bytes_max = bytes_max

    @property
    def part_limit(self) -> int:
        """How many items the next part may have."""
        left = self._limit - len(self.items)
        if not self.items:
            return min(left, FIRST_PART_MAX)
        average = self._bytes // len(self.items) + 1
        return min(left, PART_MAX, (self._bytes_max - self._bytes) // average + 1)

    @property
    def needs_part(self) -> bool:
        """Whether another part must be read."""
        return self.has_more and len(self.items) < self._limit and self._bytes < self._bytes_max

    def add(self, rows: Sequence[Any]) -> None:
        """Append the rows of the next part, up to the one that reaches the limit in bytes."""
        self.has_more = len(rows) == self.part_limit
        for number, row in enumerate(rows, start=1):
            item = self._from_row(row)
            self.items.append(item)
            self._bytes += self._size(item)
            if self._bytes >= self._bytes_max:
                self.has_more = self.has_more or number < len(rows)
                return
