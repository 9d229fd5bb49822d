"""A page of the log while it is read: part by part, and no longer than fits in memory.

An event may be a hundred bytes or, with a large electorate in it, megabytes. So a page has as many
events as were asked for, or fewer: it ends behind the part with which it has PAGE_BYTES_MAX.
"""

from collections.abc import Sequence
from typing import Any

PAGE_BYTES_MAX = 1024 * 1024
EVENTS_AT_ONCE_MAX = 100


class PageBuilder:
    def __init__(self, limit: int) -> None:
        self.rows: list[Any] = []
        self.full = True  # The last part was: more may follow.
        self._limit = limit
        self._bytes = 0

    @property
    def asked(self) -> int:
        """How many events the next part may have."""
        return min(self._limit - len(self.rows), EVENTS_AT_ONCE_MAX)

    @property
    def goes_on(self) -> bool:
        return self.full and self.asked > 0 and self._bytes < PAGE_BYTES_MAX

    def take(self, rows: Sequence[Any]) -> None:
        """The next part."""
        self.full = len(rows) == self.asked
        self.rows.extend(rows)
        self._bytes += sum(len(row.data) for row in rows)
