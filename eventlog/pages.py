"""Read a page of the log in parts, with a limit on its size in bytes.

An event may have a hundred bytes or, with a large electorate, megabytes. A page therefore has at
most the requested number of events, and it ends after the part that reaches PAGE_BYTES_MAX.
"""

from collections.abc import Sequence
from typing import Any

PAGE_BYTES_MAX = 1024 * 1024
PART_EVENTS_MAX = 100


class PageBuilder:
    def __init__(self, limit: int) -> None:
        self.rows: list[Any] = []
        self.has_more = True  # The last part was full, so more events may follow.
        self._limit = limit
        self._bytes = 0

    @property
    def part_limit(self) -> int:
        """How many events the next part may have."""
        return min(self._limit - len(self.rows), PART_EVENTS_MAX)

    @property
    def needs_part(self) -> bool:
        """Whether another part must be read."""
        return self.has_more and self.part_limit > 0 and self._bytes < PAGE_BYTES_MAX

    def add(self, rows: Sequence[Any]) -> None:
        """Append the rows of the next part."""
        self.has_more = len(rows) == self.part_limit
        self.rows.extend(rows)
        self._bytes += sum(len(row.data) for row in rows)
