"""Read model of the mail domains that are assigned to tenants.

``tenant`` is the tenant of the log, always that of the operators; ``tenant_id`` has the domain.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Index,
    String,
    Table,
    bindparam,
    literal_column,
    select,
)

from quorate.domain.identity.tenants import OPERATORS
from quorate.domain.mail.domains import MAIL_DOMAINS as AGGREGATE
from quorate.domain.mail.domains import MailDomain
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import text
from quorate.eventlog.transactions import Query
from quorate.projections.identity.tenants import LABEL
from quorate.projections.identity.tenants import TABLE as TENANTS
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import Find, Repository

PER_PAGE = 1_000

TABLE = Table(
    "mail_domains",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("domain", text(253), primary_key=True),
    Column("tenant_id", text(64), nullable=False),
    Index("mail_domains_by_tenant", "tenant", "tenant_id"),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, found: MailDomain) -> Values:
    return (tenant, found.domain, found.tenant_id)


def from_row(row: Row) -> MailDomain:
    return MailDomain(domain=row.domain, tenant_id=row.tenant_id)


MAIL_DOMAINS: Repository[MailDomain] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    id_of=lambda row: row.domain,
    finds=(
        Find(index="id", columns=(TABLE.c.domain,)),
        Find(index="tenant", columns=(TABLE.c.tenant_id,)),
    ),
    is_removed=lambda found: found.tenant_id is None,
)


class MailDomainQueries:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        after: BindParameter[str] = bindparam("after")
        of_operators = TABLE.c.tenant == OPERATORS
        page = select(TABLE).where(of_operators, TABLE.c.domain > after)
        page = page.order_by(TABLE.c.domain).limit(PER_PAGE)
        named = select(TABLE).where(of_operators, TABLE.c.tenant_id == bindparam("id"))
        label: ColumnElement[str] = literal_column(LABEL, String)
        labelled = select(TENANTS.c.id).where(label == bindparam("label"))
        labelled = labelled.order_by(TENANTS.c.created_at, TENANTS.c.id).limit(1)
        self._page, self._named, self._labelled = (
            Query(statement, log.database.dialect) for statement in (page, named, labelled)
        )

    async def all(self) -> Mapping[str, str]:
        """Return the tenant of every assigned domain."""
        found: dict[str, str] = {}
        async with self._log.read() as transaction:
            while True:
                values: dict[str, Any] = {"after": next(reversed(found), "")}
                rows = await transaction.fetch(self._page, values)
                found |= {row.domain: row.tenant_id for row in rows}
                if len(rows) < PER_PAGE:
                    return found

    async def assigned_to(self, tenant: str) -> str | None:
        """Return the domain that is assigned to a tenant."""
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._named, {"id": tenant})
        return rows[0].domain if rows else None

    async def labelled(self, label: str) -> str | None:
        """Return the first tenant that was created with this label in its default domain."""
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._labelled, {"label": label})
        return rows[0].id if rows else None
