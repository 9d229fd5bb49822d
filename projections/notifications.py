"""What an agent was told, read back: the events that concern it, in order, from any point on.

Who was told of what is a projection of the log; what was said is made again from the event, so it
is the same however often it is asked for. An age up to which notifications are served is a rule of
reading, and what was archived is older than that. Where one is left out the answer says so, and up
to where.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select, union

from quorate.domain.identity.agents import AgentRef, folded
from quorate.domain.shared.notifications import EVERYONE
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore, Gap, Heads, OldestEvent, event_from_row
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.tables import events
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.projections.tables import agents, notices

MILLISECONDS_PER_HOUR = 3_600_000


@record
class NoticedPage:
    """Events of which an agent was told. ``next`` is where the page after this one goes on."""

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

    async def agent_id(self, tenant: str, ref: AgentRef) -> str | None:
        """The agent that is meant, registered or only reserved; None when there is none such."""
        if ref.id is None and ref.name is None:
            return None
        query = self._queries.agent_by_name if ref.id is None else self._queries.agent_by_id
        named = {"id": ref.id, "name": None if ref.name is None else folded(ref.name)}
        async with self._log.read() as transaction:
            found = await transaction.fetch(query, {"tenant": tenant, **named})
        if not found or (ref.name is not None and found[0].name_key != named["name"]):
            return None
        return str(found[0].id)

    async def page(self, tenant: str, agent_id: str, after: int, limit: int) -> NoticedPage:
        """Up to ``limit`` events after ``after`` of which the agent was told."""
        told = _Told(self._queries, tenant, agent_id)
        heads, kept = Heads((tenant,)), OldestEvent(tenant)
        lookups = (*self._log.head_lookups(heads), self._log.oldest_lookup(kept))
        gap, start = None, after
        async with self._log.read() as transaction:
            found = await told.after(transaction, after, limit, lookups)
            head = heads.tenants[tenant].sequence
            if kept.gap(after):
                start = max(after, await told.last_until(transaction, kept.archived))
            if start > after:  # A page that was cut among the archived ones says nothing.
                gap = Gap(after=after, until=start)
                found = await told.after(transaction, start, limit)
            oldest = max(self._clock(), heads.last.at) - self._retention
            if found and found[0].at < oldest:
                aged = await told.last_before(transaction, oldest, found[0].sequence, head)
                start = await told.last_until(transaction, aged)
                gap = Gap(after=after, until=start)
                found = await told.after(transaction, start, limit)
        full = len(found) == limit
        next_ = found[-1].sequence if full else max(head, start)
        return NoticedPage(events=found, head=head, next=next_, gap=gap)


class _Told:
    """What was said to one agent, within one snapshot."""

    def __init__(self, queries: "_Queries", tenant: str, agent_id: str) -> None:
        self._queries = queries
        self._who = {"tenant": tenant, "agent_id": agent_id, "everyone": EVERYONE}

    async def after(
        self,
        transaction: DatabaseTransaction,
        after: int,
        limit: int,
        others: Sequence[Lookup] = (),
    ) -> list[RecordedEvent]:
        """The events of a page; ``others`` are looked up on the same way."""
        rows: list[Any] = []
        values = {**self._who, "after": after, "limit": limit}
        page = Lookup(query=self._queries.page, values=values, take=rows.extend)
        await transaction.look_up([*others, page])
        return [event_from_row(row) for row in rows]

    async def last_until(self, transaction: DatabaseTransaction, sequence: int) -> int:
        """The last sequence up to this one of which the agent was told."""
        values = {**self._who, "until": sequence}
        (last,) = await transaction.fetch(self._queries.last, values)
        return max(sequence or 0 for sequence in last)

    async def last_before(
        self, transaction: DatabaseTransaction, at: int, known: int, end: int
    ) -> int:
        """The last sequence whose event is older than ``at``: time never decreases in a log.

        ``known`` is one that is, ``end`` the last there is.
        """
        while known < end:
            middle = (known + end + 1) // 2
            values = {**self._who, "sequence": middle}
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
        who = select(agents.c.id, agents.c.name_key).where(in_tenant)
        self.agent_by_id = self._query(who.where(agents.c.id == bindparam("id")))
        self.agent_by_name = self._query(who.where(agents.c.name_key == bindparam("name")))
        self.page = self._query(_page())
        self.last = self._query(_last())
        at = select(events.c.at).where(events.c.tenant == bindparam("tenant"))
        self.at = self._query(at.where(events.c.sequence == bindparam("sequence")))

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._dialect)


def _told(who: str) -> Select[tuple[int]]:
    """The sequences of which somebody was told."""
    return select(notices.c.sequence).where(
        notices.c.tenant == bindparam("tenant"), notices.c.agent_id == bindparam(who)
    )


def _page() -> Select[Any]:
    """The beginnings of two ranges of one index, merged, and cut before events are looked up."""
    limit: BindParameter[int] = bindparam("limit")
    ranges = (
        _told(who).where(notices.c.sequence > bindparam("after")).order_by(notices.c.sequence)
        for who in ("agent_id", "everyone")
    )
    both = union(*(select(each.limit(limit).subquery()) for each in ranges))
    page = both.order_by(both.selected_columns.sequence).limit(limit).subquery("page")
    same = (events.c.tenant == bindparam("tenant")) & (events.c.sequence == page.c.sequence)
    return select(events).select_from(page.join(events, same)).order_by(page.c.sequence)


def _last() -> Select[Any]:
    until = notices.c.sequence <= bindparam("until")
    last = {
        who: _told(who).where(until).with_only_columns(func.max(notices.c.sequence))
        for who in ("agent_id", "everyone")
    }
    return select(*(one.scalar_subquery().label(who) for who, one in last.items()))
