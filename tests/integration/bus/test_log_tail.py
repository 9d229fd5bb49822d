"""The end of the log is read once for all followers, and no follower misses a row."""

from collections.abc import Sequence

from quorate.bus.outbox.log_tail import LogTail
from quorate.eventlog.recorded_event import RecordedEvent
from tests.integration.bus.stage import MemoryLog

ARCHIVED = 8


class Archived(MemoryLog):
    """A log with an archived range, of which the first and the last event remain."""

    async def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        rows = [row for row in self.rows if row.position == 1 or row.position >= ARCHIVED]
        return [row for row in rows if row.position > position][:limit]


async def test_follower_continues_after_events_were_archived() -> None:
    log = Archived()
    for _ in range(ARCHIVED + 2):
        log.append_grant()
    tail = LogTail(log)
    found = await tail.after(0)
    assert [row.position for row in found] == [1, 8, 9, 10]

    tail.wake([log.append_grant() for _ in range(2 * ARCHIVED)])
    found = await tail.after(10)

    assert [row.position for row in found] == list(range(11, 11 + 2 * ARCHIVED))
