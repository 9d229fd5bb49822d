"""Find the event that an id names, and the events before it that its explanation needs.

* The log has no index by stream: every append would have to write it. The read models know where
  an instance begins and ends, and the ids of events and sends contain their time.
* Everything is read by sequence, at most LOOKED_UP_EVENTS_MAX events of a tenant for an id and
  SCANNED_EVENTS_MAX before a decision. Registrations and other beginnings are read where they are.
* What was not read is a gap, and the explanation says so.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, or_, select

from quorate.domain.coordination.leases import LeaseConflicted
from quorate.domain.explanations.accounts import ACCOUNTS
from quorate.domain.explanations.histories import (
    MAILBOX_STREAM,
    MAILBOX_TYPES,
    agents_of,
    names_of,
    others_of,
    streams_of,
)
from quorate.domain.explanations.records import LoggedEvent
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.event_store import EventStore, Gap, Heads, OldestEvent, event_from_row
from quorate.eventlog.event_times import EventTimes
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import decode
from quorate.eventlog.tables import events
from quorate.eventlog.transactions import DatabaseTransaction, Query
from quorate.projections.tables import agents, deliveries, leases, messages, requests, tasks

LOOKED_UP_EVENTS_MAX = 10_000
SCANNED_EVENTS_MAX = 50_000
EVENTS_READ_MAX = 5_000  # Of the scanned ones; the newest.
EVENTS_AFTER_BEGINNING = 100  # Within the millisecond of a beginning.
SEQUENCE_DIGITS_MAX = 16
_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_ENDS = frozenset(
    {
        *("LeaseReleased", "LeaseExpired", "LeaseRevoked"),
        *("ConsensusDecided", "ConsensusExpired", "ConsensusCancelled"),
        *("TaskCompleted", "TaskFailed", "TaskCanceled"),
    }
)
_EXPLAINED = frozenset([event.__name__ for event in ACCOUNTS]) - {LeaseConflicted.__name__}


@record
class ExplainedEvent:
    """A decision, and what was read of the log before it, in order."""

    decision: LoggedEvent
    history: Sequence[LoggedEvent]
    gap: Gap | None
    head: int


class ExplainedEvents:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._times = EventTimes(log.database)

    async def find(self, tenant: str, id_: str) -> ExplainedEvent | None:
        """Return the event that an id or a sequence names; None if the tenant has none."""
        async with self._log.read() as transaction:
            found = await self._find(transaction, tenant, id_)
            if found is None:
                return None
            decision = _logged(found)
            history, gap = await self._history(transaction, tenant, decision)
            heads = Heads((tenant,))
            await transaction.look_up(self._log.head_lookups(heads))
        head = heads.tenants[tenant].sequence
        return ExplainedEvent(decision=decision, history=history, gap=gap, head=head)

    # -- The decision ----------------------------------------------------------

    async def _find(
        self, transaction: DatabaseTransaction, tenant: str, id_: str
    ) -> RecordedEvent | None:
        if id_.isdecimal():
            if len(id_) > SEQUENCE_DIGITS_MAX:
                return None
            at = int(id_)
            found = await self._read(transaction, tenant, at - 1, at, ())
            return found[0] if found else None
        for after in await self._starts(transaction, tenant, id_):
            until = after + LOOKED_UP_EVENTS_MAX
            names_id = events.c.data.contains(f'"{id_}"', autoescape=True)
            named = or_(events.c.id == id_, names_id)
            found = await self._read(transaction, tenant, after, until, (named,))
            if found:
                return _choose(found, id_)
        return None

    async def _starts(
        self, transaction: DatabaseTransaction, tenant: str, id_: str
    ) -> Sequence[int]:
        """Return the sequences after which the event may be found, the most probable first."""
        starts = []
        for table, at in (
            (leases, leases.c.ended_at),
            (requests, requests.c.closed_at),
            (tasks, tasks.c.ended_at),
            (messages, messages.c.erased_at),
            (deliveries, deliveries.c.updated_at),
        ):
            where = (table.c.tenant == bindparam("tenant"), table.c.id == bindparam("id"))
            rows = await self._rows(transaction, select(at.label("at")).where(*where), tenant, id_)
            starts += [await self._before(transaction, tenant, row.at) for row in rows if row.at]
        starts += [one - 1 for one in await self._beginnings(transaction, tenant, [id_])]
        if (found := _UUID7.fullmatch(id_)) is not None:
            moment = Timestamp(int(found[1] + found[2], 16) - MILLISECONDS_PER_SECOND)
            starts.append(await self._before(transaction, tenant, moment))
        return starts

    # -- The events before it --------------------------------------------------

    async def _history(
        self, transaction: DatabaseTransaction, tenant: str, decision: LoggedEvent
    ) -> tuple[Sequence[LoggedEvent], Gap | None]:
        if type(decision.event) not in ACCOUNTS:
            return (), None
        agent_ids = [*agents_of(decision.event)]
        streams = [*streams_of(decision.event)]
        for name in names_of(decision.event):
            of_name = (agents.c.tenant == bindparam("tenant"), agents.c.name_key == bindparam("id"))
            statement = select(agents.c.id).where(*of_name)
            agent_ids += [one.id for one in await self._rows(transaction, statement, tenant, name)]
            streams += [f"mailbox-{one.removeprefix('agent_')}" for one in agent_ids]
        streams += [f"agent-{one.removeprefix('agent_')}" for one in agent_ids]
        conditions = [_in_stream(one) for one in dict.fromkeys(streams)]
        if (others := others_of(decision.event)) is not None:
            types = [one.__name__ for one in others.types]
            has_id = events.c.data.contains(f'"{others.id}"', autoescape=True)
            conditions.append(and_(_has_type(types), has_id))
        in_streams = or_(*conditions)
        oldest = OldestEvent(tenant)
        await transaction.look_up([self._log.oldest_lookup(oldest)])
        first = max(oldest.archived, decision.sequence - 1 - SCANNED_EVENTS_MAX)
        last = decision.sequence - 1
        read = await self._read(transaction, tenant, first, last, (in_streams,), newest=True)
        found = _by_sequence(read)
        if len(read) == EVENTS_READ_MAX:  # There may be older ones, such as of busy agents.
            first = min(found) - 1
        for after in await self._anchors(transaction, tenant, decision.event, agent_ids):
            if after < first:
                until = min(after + EVENTS_AFTER_BEGINNING, first)
                found |= _by_sequence(
                    await self._read(transaction, tenant, after, until, (in_streams,))
                )
        gap = Gap(after=0, until=first) if first > 0 else None
        return [_logged(found[at]) for at in sorted(found)], gap

    async def _anchors(
        self,
        transaction: DatabaseTransaction,
        tenant: str,
        event: Any,  # noqa: ANN401 - an event of any aggregate.
        agent_ids: Iterable[str],
    ) -> Sequence[int]:
        """Return the sequences after which the instances of a decision began."""
        fields = ("lease_id", "request_id", "task_id", "parent_id", "message_id")
        ids = [id_ for one in fields if (id_ := getattr(event, one, None)) is not None]
        found = [one - 1 for one in await self._beginnings(transaction, tenant, ids)]
        for agent_id in agent_ids:
            where = (agents.c.tenant == bindparam("tenant"), agents.c.id == bindparam("id"))
            statement = select(agents.c.registered_at.label("at")).where(*where)
            for row in await self._rows(transaction, statement, tenant, agent_id):
                after = await self._before(transaction, tenant, row.at)
                found.append(after)
        return found

    async def _beginnings(
        self, transaction: DatabaseTransaction, tenant: str, ids: Iterable[str]
    ) -> Sequence[int]:
        """Return the sequences of the events that created these instances."""
        found = []
        for table, sequence in (
            (leases, leases.c.fence),
            (tasks, tasks.c.sequence),
            (messages, messages.c.sequence),
        ):
            where = (table.c.tenant == bindparam("tenant"), table.c.id == bindparam("id"))
            statement = select(sequence.label("at")).where(*where)
            for id_ in ids:
                rows = await self._rows(transaction, statement, tenant, id_)
                found += [row.at for row in rows]
        where = (requests.c.tenant == bindparam("tenant"), requests.c.id == bindparam("id"))
        statement = select(requests.c.created_at.label("at")).where(*where)
        for id_ in ids:
            for row in await self._rows(transaction, statement, tenant, id_):
                after = await self._before(transaction, tenant, row.at)
                found.append(after + 1)
        return found

    # -- Reading ---------------------------------------------------------------

    async def _before(self, transaction: DatabaseTransaction, tenant: str, at: Timestamp) -> int:
        """Return the sequence before the first event of this time."""
        return (await self._times.span(transaction, tenant, at, None)).after

    async def _rows(
        self, transaction: DatabaseTransaction, statement: Select[Any], tenant: str, id_: str
    ) -> Sequence[Any]:
        query = Query(statement, self._log.database.dialect)
        return await transaction.fetch(query, {"tenant": tenant, "id": id_})

    async def _read(
        self,
        transaction: DatabaseTransaction,
        tenant: str,
        after: int,
        until: int,
        conditions: Iterable[ColumnElement[bool]],
        *,
        newest: bool = False,
    ) -> Sequence[RecordedEvent]:
        """Return events of a range of sequences, at most EVENTS_READ_MAX, in order."""
        limit: BindParameter[int] = bindparam("limit")
        statement = select(events).where(
            events.c.tenant == bindparam("tenant"),
            events.c.sequence > bindparam("after"),
            events.c.sequence <= bindparam("until"),
            *conditions,
        )
        order = events.c.sequence.desc() if newest else events.c.sequence
        query = Query(statement.order_by(order).limit(limit), self._log.database.dialect)
        values = {"tenant": tenant, "after": after, "until": until, "limit": EVENTS_READ_MAX}
        return [event_from_row(row) for row in await transaction.fetch(query, values)]


def _in_stream(stream: str) -> ColumnElement[bool]:
    in_it = events.c.stream == stream
    if stream.startswith(MAILBOX_STREAM):
        return and_(in_it, _has_type(MAILBOX_TYPES))
    return in_it


def _has_type(types: Iterable[str]) -> ColumnElement[bool]:
    return or_(*[events.c.type == one for one in types])  # Queries are compiled without lists.


def _choose(found: Sequence[RecordedEvent], id_: str) -> RecordedEvent:
    """Return the event with this id, else the end of what it names, else what explains most."""
    for one in found:
        if one.id == id_:
            return one
    for one in found:
        if one.type in _ENDS:
            return one
    return next((one for one in reversed(found) if one.type in _EXPLAINED), found[0])


def _by_sequence(found: Iterable[RecordedEvent]) -> dict[int, RecordedEvent]:
    return {one.sequence: one for one in found}


def _logged(one: RecordedEvent) -> LoggedEvent:
    return LoggedEvent(
        sequence=one.sequence,
        id=one.id,
        at=one.at,
        actor=one.actor,
        command_id=one.command_id,
        event=decode(one.type, one.version, one.data),
    )
