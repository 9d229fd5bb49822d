"""Read model of tenants. Their limits are a JSON object without the limits that are not set."""

from functools import lru_cache

import orjson
from sqlalchemy import BigInteger, Column, ColumnElement, Index, Table, exists, or_

from quorate.domain.identity.tenants import LIMITS, NO_LIMITS, THE_TENANT, Tenant, TenantLimits
from quorate.domain.identity.tenants import TENANTS as AGGREGATE
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Find, Repository

LIMITS_CACHED_MAX = 1_024
# The label of a tenant in its default mail domain (``default_label``), as the index has it.
LABEL = "lower(replace(id, '_', '-'))"

TABLE = Table(
    "tenants",
    metadata,
    Column("id", text(64), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("suspended_at", BigInteger),
    Column("limits", text()),
    Column("paused_at", BigInteger),
    Index("tenants_by_label", sql(LABEL), "created_at", "id"),
    sqlite_with_rowid=False,
)


def is_paused(tenant: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the tenant with this id is paused."""
    return exists().where(TABLE.c.id == tenant, TABLE.c.paused_at.is_not(None))


def is_stopped(tenant: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the tenant with this id is suspended or paused."""
    stops = or_(TABLE.c.suspended_at.is_not(None), TABLE.c.paused_at.is_not(None))
    return exists().where(TABLE.c.id == tenant, stops)


def to_row(_tenant: str, _id: str, tenant: Tenant) -> Values:
    limits = _limits_text(tenant.limits)
    return (tenant.id, tenant.created_at, tenant.suspended_at, limits, tenant.paused_at)


def from_row(row: Row) -> Tenant:
    return Tenant(
        id=row.id,
        created_at=Timestamp(row.created_at),
        suspended_at=None if row.suspended_at is None else Timestamp(row.suspended_at),
        limits=limits_from(row.limits),
        paused_at=None if row.paused_at is None else Timestamp(row.paused_at),
    )


def _limits_text(limits: TenantLimits) -> str | None:
    own = {name: limit for name in LIMITS if (limit := getattr(limits, name)) is not None}
    return orjson.dumps(own).decode() if own else None


@lru_cache(maxsize=LIMITS_CACHED_MAX)
def limits_from(text: str | None) -> TenantLimits:
    return NO_LIMITS if text is None else TenantLimits(**orjson.loads(text))


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
