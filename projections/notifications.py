"""Read an agent's notifications: the events that concern it, in order, after any sequence.

* The table ``notices`` lists the recipients of each event. The content is rendered from the event,
  so each query gives the same notification.
* Queries leave out notifications older than the retention. Archived events are older than that.
* A page reports notifications that are left out as a ``gap``, with the last sequence in it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select, union

from quorate.domain.identity.agents import AgentRef, name_key
from quorate.domain.shared.notifications import EVERYONE
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import MILLISECONDS_PER_HOUR, Timestamp
from quorate.eventlog import pages
from quorate.eventlog.event_store import EventStore, Gap, Heads, OldestEvent, event_from_row
from quorate.eventlog.pages import PageBuilder
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.tables import events
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.projections.notified_bodies import NotifiedBodies, size_of_body
from quorate.projections.tables import agents, notices

ENVELOPE_BYTES = 300  # Of a notification, around the data of its event.


@record
class NotificationPage:
    """Events of which an agent is notified; the following page starts after ``next``.

    Events of messages have the bodies that existed in the page's snapshot.
    """

    events: Sequence[RecordedEvent]
    head: int
    next: int
    gap: Gap | None


class NotificationQueries:
    def __init__(
        self, log: EventStore, clock: Callable[[], Timestamp], *, retention_hours: float
    ) -> None:
        self._log = log
        self._clock = clock
        self._retention = round(retention_hours * MILLISECONDS_PER_HOUR)
        self._queries = _Queries(log)
        self._bodies = NotifiedBodies(log)
        self.add_bodies = self._bodies.add

    async def agent_id(self, tenant: str, ref: AgentRef) -> str | None:
        """Return the id of the agent that ``ref`` names, registered or reserved, or None."""
        if ref.id is None and ref.name is None:
            return None
        query = self._queries.agent_by_name if ref.id is None else self._queries.agent_by_id
        key = {"id": ref.id, "name": None if ref.name is None else name_key(ref.name)}
        async with self._log.read() as transaction:
            found = await transaction.fetch(query, {"tenant": tenant, **key})
        if not found or (ref.name is not None and found[0].name_key != key["name"]):
            return None
        return str(found[0].id)

    async def page(self, tenant: str, agent_id: str, after: int, limit: int) -> NotificationPage:
        """Return up to ``limit`` events after ``after`` of which the agent is notified.

        A page has fewer events when they are large.
        """
        builder = PageBuilder(limit, event_from_row, _size, pages.NATS_PAGE_BYTES_MAX)
        part = builder.part_limit
        notified = _AgentEvents(self._queries, tenant, agent_id)
        heads, kept = Heads((tenant,)), OldestEvent(tenant)
        lookups = (*self._log.head_lookups(heads), self._log.oldest_lookup(kept))
        gap, start = None, after
        async with self._log.read() as transaction:
            found = await notified.after(transaction, after, part, lookups)
            head = heads.tenants[tenant].sequence
            if kept.gap(after):
                start = max(after, await notified.last_until(transaction, kept.archived))
            if start > after:  # The first page may begin with archived events: read it again.
                gap = Gap(after=after, until=start)
                found = await notified.after(transaction, start, part)
            oldest = max(self._clock(), heads.last.at) - self._retention
            if found and found[0].at < oldest:
                aged = await notified.last_before(transaction, oldest, found[0].sequence, head)
                start = await notified.last_until(transaction, aged)
                gap = Gap(after=after, until=start)
                found = await notified.after(transaction, start, part)
            builder.add(found)
            while builder.needs_part:
                last = builder.items[-1].sequence
                builder.add(await notified.after(transaction, last, builder.part_limit))
            events_ = await self._bodies.add_within(transaction, builder.items)
        next_ = builder.items[-1].sequence if builder.has_more else max(head, start)
        return NotificationPage(events=events_, head=head, next=next_, gap=gap)


def _size(event: RecordedEvent) -> int:
    return len(event.data) + ENVELOPE_BYTES + size_of_body(event)


class _AgentEvents:
    """The events of which one agent is notified, within one snapshot."""

    def __init__(self, queries: "_Queries", tenant: str, agent_id: str) -> None:
        self._queries = queries
        self._recipients = {"tenant": tenant, "agent_id": agent_id, "everyone": EVERYONE}

    async def after(
        self,
        transaction: DatabaseTransaction,
        after: int,
        limit: int,
        others: Sequence[Lookup] = (),
    ) -> list[Any]:
        """Return the rows of a page's events; ``others`` are looked up in the same round trip."""
        rows: list[Any] = []
        values = {**self._recipients, "after": after, "limit": limit}
        page = Lookup(query=self._queries.page, values=values, take=rows.extend)
        await transaction.look_up([*others, page])
        return rows

    async def last_until(self, transaction: DatabaseTransaction, sequence: int) -> int:
        """Return the last sequence up to this one of which the agent is notified, or 0."""
        values = {**self._recipients, "until": sequence}
        (last,) = await transaction.fetch(self._queries.last, values)
        return max(sequence or 0 for sequence in last)

    async def last_before(
        self, transaction: DatabaseTransaction, at: int, known: int, end: int
    ) -> int:
        """Return the last sequence whose event is older than ``at``, by binary search.

        The time of events never decreases. ``known`` is a sequence older than ``at``; ``end`` is
        the head of the tenant.
        """
        while known < end:
            middle = (known + end + 1) // 2
            values = {**self._recipients, "sequence": middle}
            ((middle_at,),) = await transaction.fetch(self._queries.at, values)
            if middle_at < at:
                known = middle
            else:
                end = middle - 1
        return known


class _Queries:
    def __init__(self, log: EventStore) -> None:
        self._dialect = log.database.dialect
        in_tenant = agents.c.tenant == bindparam("tenant")
        agent = select(agents.c.id, agents.c.name_key).where(in_tenant)
        self.agent_by_id = self._query(agent.where(agents.c.id == bindparam("id")))
        self.agent_by_name = self._query(agent.where(agents.c.name_key == bindparam("name")))
        self.page = self._query(_page())
        self.last = self._query(_last())
        at = select(events.c.at).where(events.c.tenant == bindparam("tenant"))
        self.at = self._query(at.where(events.c.sequence == bindparam("sequence")))

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._dialect)


def _sequences(recipient: str) -> Select[tuple[int]]:
    """Select the sequences of which the recipient in this parameter is notified."""
    return select(notices.c.sequence).where(
        notices.c.tenant == bindparam("tenant"), notices.c.agent_id == bindparam(recipient)
    )


def _page() -> Select[Any]:
    """Merge the first rows of two ranges of one index, and limit them before events are read."""
    limit: BindParameter[int] = bindparam("limit")
    ranges = (
        _sequences(recipient)
        .where(notices.c.sequence > bindparam("after"))
        .order_by(notices.c.sequence)
        for recipient in ("agent_id", "everyone")
    )
    both = union(*(select(each.limit(limit).subquery()) for each in ranges))
    page = both.order_by(both.selected_columns.sequence).limit(limit).subquery("page")
    same = (events.c.tenant == bindparam("tenant")) & (events.c.sequence == page.c.sequence)
    return select(events).select_from(page.join(events, same)).order_by(page.c.sequence)


def _last() -> Select[Any]:
    until = notices.c.sequence <= bindparam("until")
    last = {
        recipient: _sequences(recipient)
        .where(until)
        .with_only_columns(func.max(notices.c.sequence))
        for recipient in ("agent_id", "everyone")
    }
    return select(*(one.scalar_subquery().label(recipient) for recipient, one in last.items()))
