"""Count the unread messages of a tenant: each account keeps the number of its own."""

from collections.abc import Callable

from sqlalchemy import ColumnElement, bindparam, func, literal_column, select

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.mail.accounts import TABLE as ACCOUNTS
from quorate.projections.snapshots import QueryResult, open_snapshot


@record
class Unread:
    """Unread messages of a tenant, and the mailboxes that have any."""

    unread: int
    mailboxes: int


class UnreadQuery:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        zero: ColumnElement[int] = literal_column("0")
        counted = select(
            func.coalesce(func.sum(ACCOUNTS.c.unread), zero).label("unread"),
            func.count().label("mailboxes"),
        ).where(ACCOUNTS.c.tenant == bindparam("tenant"), ACCOUNTS.c.unread > zero)
        self._query = Query(counted, log.database.dialect)

    async def count(self, tenant: str) -> QueryResult[Unread]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            (row,) = await snapshot.rows(self._query, {"tenant": tenant})
            return snapshot.result(Unread(unread=int(row.unread), mailboxes=row.mailboxes))
