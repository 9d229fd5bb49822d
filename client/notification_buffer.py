"""Ring buffer of the newest notifications of one feed, shared by all its readers. No I/O.

Guarantees:

* Notifications are in ascending order, and each sequence occurs once. A notification that is not
  newer than the cursor is a duplicate and is dropped.
* The buffer keeps NOTIFICATIONS_KEPT_MAX notifications. A slower reader is behind the buffer
  (``is_behind``) and reads from the service, so it does not increase the use of memory.
"""

from bisect import bisect_right
from collections import deque
from operator import attrgetter

from quorate.client.results import Notification

NOTIFICATIONS_KEPT_MAX = 1_000


class NotificationBuffer:
    """``cursor`` is the sequence up to which all notifications were delivered."""

    def __init__(self, cursor: int, kept_max: int = NOTIFICATIONS_KEPT_MAX) -> None:
        self.cursor = cursor
        self._starts_after = cursor
        self._kept: deque[Notification] = deque()
        self._kept_max = kept_max

    def add(self, notification: Notification) -> bool:
        """Append a notification; return False for a duplicate."""
        if notification.sequence <= self.cursor:
            return False
        if len(self._kept) == self._kept_max:
            self._starts_after = self._kept.popleft().sequence
        self._kept.append(notification)
        self.cursor = notification.sequence
        return True

    def advance(self, sequence: int) -> None:
        """Record that there are no more notifications up to ``sequence``."""
        self.cursor = max(self.cursor, sequence)

    def is_behind(self, position: int) -> bool:
        """Whether the buffer has dropped notifications after ``position``."""
        return position < self._starts_after

    def next_after(self, position: int) -> Notification | None:
        """Return the first notification after ``position``; None if the buffer has none."""
        index = bisect_right(self._kept, position, key=attrgetter("sequence"))
        return self._kept[index] if index < len(self._kept) else None
