"""Read model of tenants."""

from sqlalchemy import BigInteger, Column, Table

from quorate.domain.identity.tenants import TENANTS as AGGREGATE
from quorate.domain.identity.tenants import THE_TENANT, Tenant
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import Find, Repository

TABLE = Table(
    "tenants",
    metadata,
    Column("id", text(64), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


def to_row(_tenant: str, _id: str, tenant: Tenant) -> Values:
    return (tenant.id, tenant.created_at)


def from_row(row: Row) -> Tenant:
    return Tenant(id=row.id, created_at=Timestamp(row.created_at))


TENANTS: Repository[Tenant] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    tenant_of=lambda row: row.id,
    id_of=lambda _row: THE_TENANT,
    tenant_columns=(TABLE.c.id,),
    finds=(Find(index="id", columns=()),),
)
