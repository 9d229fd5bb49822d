"""Find the moment that a sequence or a time names, and whether the history contains it.

* A sequence names the state after its event, at the time of that event.
* A time names the state after the last event at or before it. Deadlines are compared with the time
  itself, so a lease that ended at 14:02 has ended at 14:03, also if no event says so yet.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import bindparam, select

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.event_store import EventStore, Heads, OldestEvent
from quorate.eventlog.event_times import EventTimes
from quorate.eventlog.moments import Moment
from quorate.eventlog.tables import events
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.projections.history.statements import open_past
from quorate.projections.history.tables import progress

WAIT_SECONDS = 5.0  # For the history to reach the moment.
POLL_SECONDS, POLL_SECONDS_MAX = 0.02, 0.25
TIMES_CACHED_MAX = 1_024


def _pauses() -> Iterator[float]:
    """Return the pauses between reads: longer and longer, so that waiting costs little."""
    pause, waited = POLL_SECONDS, 0.0
    while waited < WAIT_SECONDS:
        yield pause
        waited += pause
        pause = min(2 * pause, POLL_SECONDS_MAX)


class MomentInFuture(Exception):
    """The moment has not happened yet; ``head`` is the last sequence."""

    def __init__(self, head: int) -> None:
        super().__init__(head)
        self.head = head


class MomentNotKept(Exception):
    """The events until the moment are archived, or it is before the first event of the tenant.

    ``first`` is the first sequence that can be read.
    """

    def __init__(self, first: int) -> None:
        super().__init__(first)
        self.first = first


@record
class _Event:
    """The last event before a moment, and the last position of the log before it."""

    sequence: int
    position: int


class _Log:
    """What is known of a tenant's log and of the history, in one snapshot."""

    def __init__(self, tenant: str) -> None:
        self.heads = Heads((tenant,))
        self.oldest = OldestEvent(tenant)
        self.position = self.first_position = 0  # Of the history.
        self.event: Any = None  # The event with the sequence that was asked for.

    def take_progress(self, rows: Any) -> None:  # noqa: ANN401 - rows.
        for row in rows:
            self.position, self.first_position = row.position, row.first_position

    def take_event(self, rows: Any) -> None:  # noqa: ANN401 - rows.
        for row in rows:
            self.event = row


class Moments:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._dialect = log.database.dialect
        self._times = EventTimes(log.database)
        self._found: dict[tuple[str, Timestamp], _Event] = {}  # By time, of the past only.
        self._progress = Query(select(progress), self._dialect)
        of_event = select(events.c.position, events.c.at)
        is_named = (events.c.tenant == bindparam("tenant")) & (
            events.c.sequence == bindparam("sequence")
        )
        self._by_sequence = Query(of_event.where(is_named), self._dialect)
        self._by_position = Query(
            of_event.where(events.c.position == bindparam("position")), self._dialect
        )

    async def find(self, tenant: str, moment: int | Timestamp, *, is_time: bool) -> Moment:
        """Return a moment of a tenant, once the history contains it.

        Raise MomentInFuture, MomentNotKept, or Unavailable when the history lags behind.
        """
        pauses = _pauses()
        while True:
            async with self._log.database.read() as transaction:
                log = await self._read(transaction, tenant, 0 if is_time else moment)
                if is_time:
                    event = await self._at(transaction, tenant, log, Timestamp(moment))
                    at = Timestamp(moment)
                else:
                    event = self._of_sequence(tenant, log, moment)
                    at = Timestamp(log.event.at)
                event = await self._within_history(transaction, tenant, log, event)
            if event.position <= log.position:
                break
            pause = next(pauses, None)
            if pause is None:
                raise Unavailable("The history has not reached this moment yet.")
            await asyncio.sleep(pause)
        past = open_past(
            self._dialect, tenant, event.sequence, event.position, log.heads.last.position
        )
        return Moment(
            tenant=tenant,
            sequence=event.sequence,
            position=event.position,
            at=at,
            transaction=past,
        )

    async def _read(self, transaction: DatabaseTransaction, tenant: str, sequence: int) -> _Log:
        log = _Log(tenant)
        values = {"tenant": tenant, "sequence": sequence}
        await transaction.look_up(
            [
                *self._log.head_lookups(log.heads),
                self._log.oldest_lookup(log.oldest),
                Lookup(query=self._progress, values={}, take=log.take_progress),
                Lookup(query=self._by_sequence, values=values, take=log.take_event),
            ]
        )
        return log

    def _of_sequence(self, tenant: str, log: _Log, sequence: int) -> _Event:
        head = log.heads.tenants[tenant].sequence
        if sequence > head:
            raise MomentInFuture(head)
        if log.event is None or sequence <= log.oldest.archived:
            raise MomentNotKept(log.oldest.archived + 1)
        return _Event(sequence=sequence, position=log.event.position)

    async def _within_history(
        self, transaction: DatabaseTransaction, tenant: str, log: _Log, event: _Event
    ) -> _Event:
        """Return a position of the history with the same state of the tenant.

        The history may begin between this event and the next one of the tenant.
        """
        first = log.first_position
        if event.position >= first:
            return event
        kept, head = event.sequence, log.heads.tenants[tenant].sequence
        while kept < head:  # Find the last sequence that is not after the beginning.
            middle = (kept + head + 1) // 2
            position = await self._position_of(transaction, tenant, middle)
            if position is not None and position > first:
                head = middle - 1
            else:
                kept = middle
        if kept > event.sequence:
            raise MomentNotKept(kept)
        return _Event(sequence=event.sequence, position=first)

    # -- By time ---------------------------------------------------------------

    async def _at(
        self, transaction: DatabaseTransaction, tenant: str, log: _Log, at: Timestamp
    ) -> _Event:
        if at > max(self._clock(), log.heads.last.at):
            raise MomentInFuture(log.heads.tenants[tenant].sequence)
        event = self._found.get((tenant, at))
        if event is None:
            event = await self._search(transaction, tenant, log, at)
            if at < log.heads.last.at:  # No later event can have this time.
                if len(self._found) >= TIMES_CACHED_MAX:
                    self._found.clear()
                self._found[tenant, at] = event
        if event.sequence <= log.oldest.archived:
            raise MomentNotKept(log.oldest.archived + 1)
        return event

    async def _search(
        self, transaction: DatabaseTransaction, tenant: str, log: _Log, at: Timestamp
    ) -> _Event:
        """Search the last event of the tenant, and then the last one of the whole log.

        Rows of the operators, such as mail domains, change with events of other tenants.
        """
        after = Timestamp(at + 1)
        span = await self._times.span(transaction, tenant, None, after)
        head = log.heads.tenants[tenant].sequence
        sequence = min(span.until, head)
        if sequence <= 0:
            raise MomentNotKept(1)
        first = await self._position_of(transaction, tenant, sequence)
        if first is None:
            raise MomentNotKept(log.oldest.archived + 1)
        low, high = first, log.heads.last.position
        if sequence < head:
            following = await self._position_of(transaction, tenant, sequence + 1)
            high = high if following is None else following - 1
        while low < high:
            middle = (low + high + 1) // 2
            rows = await transaction.fetch(self._by_position, {"position": middle})
            if rows and rows[0].at >= after:
                high = middle - 1
            else:
                low = middle
        return _Event(sequence=sequence, position=low)

    async def _position_of(
        self, transaction: DatabaseTransaction, tenant: str, sequence: int
    ) -> int | None:
        values = {"tenant": tenant, "sequence": sequence}
        rows = await transaction.fetch(self._by_sequence, values)
        return int(rows[0].position) if rows else None
