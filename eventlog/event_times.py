"""Find the events of a tenant by time, without an index on it.

The times of a tenant's events never decrease, so a binary search over its sequences finds a time
with one primary-key lookup for each doubling of the log. An index would make every append larger.
"""

from sqlalchemy import bindparam, func, select

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import events
from quorate.eventlog.transactions import DatabaseTransaction, Query

END = 2**63 - 1  # After every sequence.


@record
class Span:
    """The sequences of a range of time: those after ``after``, up to ``until``."""

    after: int
    until: int


WHOLE = Span(after=0, until=END)


class EventTimes:
    def __init__(self, database: Database) -> None:
        tenant = events.c.tenant == bindparam("tenant")
        # Two subqueries: SQLite reads all sequences for a minimum and a maximum in one SELECT.
        first = select(func.min(events.c.sequence)).where(tenant).scalar_subquery()
        last = select(func.max(events.c.sequence)).where(tenant).scalar_subquery()
        ends = select(first.label("first"), last.label("last"))
        at = select(events.c.at).where(tenant, events.c.sequence == bindparam("sequence"))
        self._ends = Query(ends, database.dialect)
        self._at = Query(at, database.dialect)

    async def span(
        self,
        transaction: DatabaseTransaction,
        tenant: str,
        since: Timestamp | None,
        until: Timestamp | None,
    ) -> Span:
        """Return the sequences whose events are not before ``since`` and are before ``until``.

        Archived events are older than all others. While ``since`` may be among them, the span
        begins with the first event of the log, so that the page names the archived range.
        """
        if since is None and until is None:
            return WHOLE
        ((first, last),) = await transaction.fetch(self._ends, {"tenant": tenant})
        if first is None:
            return WHOLE
        after, end = 0, END
        if since is not None:
            found = await self._search(transaction, tenant, (first, last), since)
            after = found - 1 if found > first else 0
        if until is not None:
            found = await self._search(transaction, tenant, (first, last), until)
            end = found - 1 if found <= last else END
        return Span(after=after, until=max(after, end))

    async def _search(
        self, transaction: DatabaseTransaction, tenant: str, ends: tuple[int, int], at: Timestamp
    ) -> int:
        """Return the first sequence whose event is not before this time, or the one after all."""
        low, high = ends[0], ends[1] + 1
        while low < high:
            middle = (low + high) // 2
            values = {"tenant": tenant, "sequence": middle}
            ((found,),) = await transaction.fetch(self._at, values)
            if found < at:
                low = middle + 1
            else:
                high = middle
        return low
