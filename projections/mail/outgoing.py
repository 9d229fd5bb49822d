"""Queries of the outbound relay, over the deliveries of all tenants.

* Due and held deliveries are found by partial indexes, so old deliveries cost nothing.
* A search for due deliveries reads the oldest WINDOW_MAX. If none of them can be attempted, because
  their domains are busy, it goes from domain to domain: a backlog to one domain is not read.
* Deliveries of a suspended or paused tenant wait until it is resumed or unpaused.
"""

from collections.abc import Collection, Sequence

import orjson
from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    ColumnElement,
    Exists,
    FromClause,
    Integer,
    String,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    type_coerce,
)

from quorate.domain.mail.deliveries import Delivery
from quorate.domain.mail.messages import HTML_PART, TEXT_PART, Message
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import TEXT_PARTS, ContentStore
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.identity.tenants import is_stopped
from quorate.projections.mail import deliveries as delivery_rows
from quorate.projections.mail import messages as message_rows

WINDOW_MAX = 200
DOMAINS_MAX = 1_000  # In one search.
EARLIER_MAX = 50  # Messages of a thread that References names.
_deliveries, _messages = delivery_rows.TABLE, message_rows.TABLE
_is_held: ColumnElement[bool] = literal_column("deliveries.status = 'held'")


@record
class DueDelivery:
    tenant: str
    delivery: Delivery


@record
class HeldDelivery:
    tenant: str
    id: str

    @property
    def message_id(self) -> str:
        return self.id.rpartition(".")[0]


@record
class EarlierMessage:
    """A message of the same thread; ``rfc_message_id`` is None for our own."""

    id: str
    from_address: str
    is_own: bool
    rfc_message_id: str | None


@record
class Outgoing:
    """A message with its body, which is None if it was erased, and what preceded it."""

    message: Message
    text: str | None
    html: str | None
    earlier: Sequence[EarlierMessage]  # The oldest first.


class OutgoingMail:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._contents = ContentStore(log.database)
        dialect = log.database.dialect
        waits = is_stopped(_deliveries.c.tenant)
        at, now = _deliveries.c.next_attempt_at, bindparam("now", type_=BigInteger)
        self._due = _Due(log.database, waits)
        later = select(at).where(delivery_rows.is_waiting, at > now, ~waits)
        self._next = Query(later.order_by(at).limit(1), dialect)
        # Only what the partial index contains: else SQLite reads the whole table.
        held = select(_deliveries.c.tenant, _deliveries.c.id)
        held = held.where(delivery_rows.is_listed, _is_held, ~waits)
        self._held = Query(held.limit(bindparam("limit")), dialect)
        its_tenant = _messages.c.tenant == bindparam("tenant")
        message = select(_messages).where(its_tenant, _messages.c.id == bindparam("id"))
        self._message = Query(message, dialect)
        earlier = select(
            _messages.c.id,
            _messages.c.from_address,
            _messages.c.sender_id,
            _messages.c.rfc_message_id,
        ).where(
            its_tenant,
            _messages.c.thread_id == bindparam("thread_id"),
            _messages.c.sequence < bindparam("before"),
        )
        newest = earlier.order_by(_messages.c.sequence.desc()).limit(EARLIER_MAX)
        self._earlier = Query(newest, dialect)

    async def due(self, now: Timestamp, busy: Collection[str], limit: int) -> Sequence[DueDelivery]:
        """Return deliveries that are due, the oldest first; none to a domain in ``busy``."""
        domains = orjson.dumps([(one,) for one in busy]).decode()
        values = {"now": now, "limit": limit, "busy": domains}
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._due.oldest, values)
            if not rows:
                ((count,),) = await transaction.fetch(self._due.count, values)
                if count == WINDOW_MAX:
                    rows = await transaction.fetch(self._due.by_domain, values)
        return [
            DueDelivery(tenant=row.tenant, delivery=delivery_rows.from_row(row)) for row in rows
        ]

    async def next_due(self, now: Timestamp) -> Timestamp | None:
        """Return when the first delivery becomes due that is not due now."""
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._next, {"now": now})
        return Timestamp(found[0].next_attempt_at) if found else None

    async def held(self, limit: int) -> Sequence[HeldDelivery]:
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._held, {"limit": limit})
        return [HeldDelivery(tenant=row.tenant, id=row.id) for row in rows]

    async def read(self, tenant: str, message_id: str) -> Outgoing | None:
        async with self._log.read() as transaction:
            values = {"tenant": tenant, "id": message_id}
            found = await transaction.fetch(self._message, values)
            if not found:
                return None
            message = message_rows.from_row(found[0])
            values = {"tenant": tenant, "thread_id": message.thread_id}
            earlier = await transaction.fetch(self._earlier, {**values, "before": message.sequence})
            bodies = await self._contents.read(transaction, tenant, [message_id], TEXT_PARTS)
        texts = {part: one.data.decode() for (_, part), one in bodies.items()}
        return Outgoing(
            message=message,
            text=texts.get(TEXT_PART),
            html=texts.get(HTML_PART),
            earlier=[
                EarlierMessage(
                    id=row.id,
                    from_address=row.from_address,
                    is_own=row.sender_id is not None,
                    rfc_message_id=row.rfc_message_id,
                )
                for row in reversed(earlier)
            ],
        )


class _Due:
    """Deliveries that are due, except those to busy domains.

    ``oldest`` finds them among the oldest WINDOW_MAX of all due deliveries, ``count`` says how many
    these are, and ``by_domain`` finds deliveries of one domain after the other.
    """

    def __init__(self, database: Database, waits: ColumnElement[bool]) -> None:
        dialect = database.dialect
        at, now = _deliveries.c.next_attempt_at, bindparam("now", type_=BigInteger)
        limit: BindParameter[int] = bindparam("limit")
        domain = delivery_rows.contact_domain
        rows, (busy,) = database.rows("busy", 1)
        is_due = delivery_rows.is_waiting & (at <= now)
        window = select(_deliveries, domain.label("domain")).where(is_due)
        window = window.order_by(at).limit(WINDOW_MAX)
        oldest = window.subquery("oldest")
        columns = [oldest.c[column.name] for column in _deliveries.c]
        is_busy = _is_in(oldest.c.domain, rows, busy)
        found = (
            select(*columns)
            .where(~is_busy, ~is_stopped(oldest.c.tenant))
            .order_by(oldest.c.next_attempt_at)
        )
        self.oldest = Query(found.limit(limit), dialect)
        some = select(at).where(is_due).limit(WINDOW_MAX).subquery("some")
        self.count = Query(select(func.count().label("count")).select_from(some), dialect)
        waiting = _domains(domain)
        its_domain = waiting.join(_deliveries, domain == waiting.c.domain)
        first = select(_deliveries).select_from(its_domain).where(is_due, ~waits)
        first = first.where(~_is_in(waiting.c.domain, rows, busy))
        self.by_domain = Query(first.limit(limit), dialect)


def _is_in(value: ColumnElement[str], rows: FromClause, cell: ColumnElement[str]) -> Exists:
    return exists().select_from(rows).where(value == type_coerce(cell, String))


def _domains(domain: ColumnElement[str]) -> CTE:
    """Return the domains with waiting deliveries, each found by the index from the one before."""
    each = select(domain).select_from(_deliveries).where(delivery_rows.is_waiting)
    each = each.order_by(domain).limit(1)
    first = each.where(domain > literal_column("''", String)).scalar_subquery()
    number: ColumnElement[int] = literal_column("1", Integer)
    start = select(first.label("domain"), number.label("number"))
    found = start.cte("waiting", recursive=True)
    following = each.where(domain > found.c.domain).correlate(found).scalar_subquery()
    return found.union_all(
        select(following, found.c.number + number).where(
            found.c.domain.is_not(None), found.c.number < DOMAINS_MAX
        )
    )
