"""Statements of the event store."""

from typing import Any

from sqlalchemy import BindParameter, Column, Select, and_, bindparam, func, insert, select

from quorate.eventlog.database import Database
from quorate.eventlog.moments import SEQUENCE, TENANT
from quorate.eventlog.tables import archives, events, identity
from quorate.eventlog.transactions import Query


class EventQueries:
    """The compiled statements; compiled once, so that no command waits for it."""

    def __init__(self, database: Database) -> None:
        last = select(events.c.position, events.c.at).order_by(events.c.position.desc()).limit(1)
        by_position = select(events).where(events.c.position > bindparam("position"))
        by_sequence = select(events).where(
            events.c.tenant == bindparam("tenant"),
            events.c.sequence > bindparam("after"),
            events.c.sequence <= bindparam("until"),
        )
        limit: BindParameter[int] = bindparam("limit")
        self.page_statement = by_sequence.order_by(events.c.sequence).limit(limit)
        self.append = Query(insert(events), database.dialect)
        self.head = Query(last, database.dialect, past=_last_as_of(events.c.position, events.c.at))
        self.tenant_heads = Query(
            _tenant_heads(database),
            database.dialect,
            past=_last_as_of(events.c.tenant, events.c.sequence, events.c.hash),
        )
        self.after = Query(by_position.order_by(events.c.position).limit(limit), database.dialect)
        self.page = Query(self.page_statement, database.dialect)
        of_tenant = select(events.c.sequence).where(events.c.tenant == bindparam("tenant"))
        self.oldest = Query(of_tenant.order_by(events.c.sequence).limit(1), database.dialect)
        last_archived = func.max(archives.c.last_position).label("last")
        self.archived = Query(select(last_archived), database.dialect)
        self.log_id = Query(select(identity.c.id), database.dialect)
        archived = events.c.position <= bindparam("until")
        heads = select(events.c.tenant, events.c.sequence, events.c.hash).where(archived)
        self.archived_heads = Query(heads.order_by(events.c.position), database.dialect)


def _last_as_of(*columns: Column[Any]) -> Select[Any]:
    """Select the last event of a moment; its parameters are those of every past query."""
    return select(*columns).where(
        events.c.tenant == bindparam(TENANT), events.c.sequence == bindparam(SEQUENCE)
    )


def _tenant_heads(database: Database) -> Select[Any]:
    names, (tenant,) = database.rows("tenants", 1)
    earlier = events.alias()
    last = (
        select(func.max(earlier.c.sequence))
        .where(earlier.c.tenant == tenant)
        .correlate(names)
        .scalar_subquery()
    )
    same = and_(events.c.tenant == tenant, events.c.sequence == last)
    return select(events.c.tenant, events.c.sequence, events.c.hash).select_from(
        names.join(events, same)
    )
