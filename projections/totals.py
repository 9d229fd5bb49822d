"""Totals over all tenants, and the size of the database, for the metrics of the service.

Live leases and open proposals come from the counts that quotas use: one small row per tenant. The
active agents are counted by a partial index, and so are deliveries of mail.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    cast,
    func,
    literal_column,
    select,
    text,
)

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections import tables
from quorate.projections.identity.agents import is_active
from quorate.projections.mail import deliveries

_SIZES = {
    "sqlite": select(literal_column("page_count * page_size").label("bytes")).select_from(
        text("pragma_page_count(), pragma_page_size()")
    ),
    "postgresql": select(func.pg_database_size(func.current_database()).label("bytes")),
}


@record
class Totals:
    tenants: int = 0
    active_agents: int = 0
    live_leases: int = 0
    open_proposals: int = 0
    database_bytes: int = 0
    mail_waiting: int = 0  # For an attempt, at once or later.
    mail_held: int = 0
    mail_dead_letters: int = 0
    mail_next_attempt_at: Timestamp | None = None


class TotalsQuery:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        dialect = log.database.dialect
        self._counts = Query(_counts(), dialect)
        self._mail = Query(_mail(), dialect)
        self._size = Query(_SIZES[dialect.name], dialect)

    async def read(self) -> Totals:
        """Return the totals; raises DatabaseUnavailable."""
        async with self._log.read() as transaction:
            (counts,) = await transaction.fetch(self._counts, {})
            (mail,) = await transaction.fetch(self._mail, {})
            (size,) = await transaction.fetch(self._size, {})
        return Totals(
            tenants=counts.tenants,
            active_agents=counts.active_agents,
            live_leases=counts.live_leases,
            open_proposals=counts.open_proposals,
            database_bytes=size.bytes,
            mail_waiting=mail.waiting,
            mail_held=mail.held,
            mail_dead_letters=mail.dead_letters,
            mail_next_attempt_at=mail.next_attempt_at,
        )


def _counts() -> Select[tuple[int, int, int, int]]:
    counts = tables.counts.c
    tenants = select(func.count()).select_from(tables.tenants)
    active = select(func.count()).select_from(tables.agents).where(is_active)
    return select(
        tenants.scalar_subquery().label("tenants"),
        active.scalar_subquery().label("active_agents"),
        cast(func.coalesce(func.sum(counts.live_leases), 0), BigInteger).label("live_leases"),
        cast(func.coalesce(func.sum(counts.open_requests), 0), BigInteger).label("open_proposals"),
    ).select_from(tables.counts)


def _mail() -> Select[Any]:
    is_waiting, is_listed = deliveries.is_waiting, deliveries.is_listed
    status, next_at = deliveries.TABLE.c.status, deliveries.TABLE.c.next_attempt_at
    return select(
        _of_deliveries(func.count(), is_waiting).label("waiting"),
        _of_deliveries(func.min(next_at), is_waiting).label("next_attempt_at"),
        _of_deliveries(func.count(), is_listed & (status == "held")).label("held"),
        _of_deliveries(func.count(), is_listed & (status == "dead_lettered")).label("dead_letters"),
    )


def _of_deliveries(value: ColumnElement[int], condition: ColumnElement[bool]) -> Any:  # noqa: ANN401
    return select(value).select_from(deliveries.TABLE).where(condition).scalar_subquery()
