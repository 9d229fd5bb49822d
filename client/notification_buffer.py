"""The last notifications of one feed, kept once for all who read it. No I/O.

* What is delivered is in order and each sequence once: what is not newer than the cursor was
  delivered before, and is dropped.
* Only NOTIFICATIONS_KEPT_MAX are kept. A reader that is further behind is told so (``behind``) and asks
  the service; nobody's slowness costs anybody else's memory.
"""

from bisect import bisect_right
from collections import deque
from operator import attrgetter

from quorate.client.results import Notification

NOTIFICATIONS_KEPT_MAX = 1_000


class Backlog:
    """``cursor`` is the sequence up to which everything was delivered."""

    def __init__(self, cursor: int, kept_max: int = NOTIFICATIONS_KEPT_MAX) -> None:
        self.cursor = cursor
        self._begins_after = cursor
        self._kept: deque[Notification] = deque()
        self._kept_max = kept_max

    def add(self, notification: Notification) -> bool:
        """Whether it is news."""
        if notification.sequence <= self.cursor:
            return False
        if len(self._kept) == self._kept_max:
            self._begins_after = self._kept.popleft().sequence
        self._kept.append(notification)
        self.cursor = notification.sequence
        return True

    def pass_over(self, sequence: int) -> None:
        """There is nothing for us up to ``sequence``."""
        self.cursor = max(self.cursor, sequence)

    def behind(self, position: int) -> bool:
        """Whether a reader at ``position`` would miss what is no longer kept."""
        return position < self._begins_after

    def following(self, position: int) -> Notification | None:
        """The first kept notification after ``position``; None when there is none."""
        place = bisect_right(self._kept, position, key=attrgetter("sequence"))
        return self._kept[place] if place < len(self._kept) else None
