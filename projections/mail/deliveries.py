"""Read model of deliveries to people; the outbound relay finds those that are due by index."""

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    String,
    Table,
    literal_column,
)
from sqlalchemy.ext.compiler import compiles

from quorate.domain.mail.deliveries import DELIVERIES as AGGREGATE
from quorate.domain.mail.deliveries import Delivery
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Find, Repository

_DUE = sql("next_attempt_at IS NOT NULL")
_DEAD = sql("status IN ('dead_lettered', 'held')")


class _Domain(ColumnElement[str]):
    """The domain of a contact, which has one "@", with the same SQL in the index and in queries."""

    inherit_cache = True
    type = String()


@compiles(_Domain)
def _sqlite_domain(_element: _Domain, _compiler: object, **_options: object) -> str:
    return "substr(contact_key, instr(contact_key, '@') + 1)"


@compiles(_Domain, "postgresql")
def _postgres_domain(_element: _Domain, _compiler: object, **_options: object) -> str:
    return "substr(contact_key, strpos(contact_key, '@') + 1)"


contact_domain = _Domain()

TABLE = Table(
    "deliveries",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(68), primary_key=True),
    Column("message_id", text(64), nullable=False),
    Column("thread_id", text(64), nullable=False),
    Column("agent_id", text(64), nullable=False),
    Column("address", text(), nullable=False),
    Column("contact_key", text(), nullable=False),
    Column("status", text(16), nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("fence", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("smtp_code", Integer),
    Column("detail", text()),
    Index("deliveries_due", "next_attempt_at", sqlite_where=_DUE, postgresql_where=_DUE),
    Index(
        *("deliveries_due_by_domain", contact_domain, "next_attempt_at"),
        sqlite_where=_DUE,
        postgresql_where=_DUE,
    ),
    Index("deliveries_dead", "tenant", "status", "id", sqlite_where=_DEAD, postgresql_where=_DEAD),
    sqlite_with_rowid=False,
)

# Written out: a bound status would hide the partial index from the planner.
is_waiting: ColumnElement[bool] = literal_column("deliveries.next_attempt_at IS NOT NULL")
is_listed: ColumnElement[bool] = literal_column("deliveries.status IN ('dead_lettered', 'held')")


def to_row(tenant: str, _id: str, delivery: Delivery) -> Values:
    return (
        tenant,
        delivery.id,
        delivery.message_id,
        delivery.thread_id,
        delivery.agent_id,
        delivery.address,
        delivery.contact_key,
        delivery.status,
        delivery.queued_at,
        delivery.fence,
        delivery.attempts,
        delivery.next_attempt_at,
        delivery.updated_at,
        delivery.smtp_code,
        delivery.detail,
    )


def from_row(row: Row) -> Delivery:
    return Delivery(
        id=row.id,
        message_id=row.message_id,
        thread_id=row.thread_id,
        agent_id=row.agent_id,
        address=row.address,
        contact_key=row.contact_key,
        status=row.status,
        queued_at=Timestamp(row.queued_at),
        fence=row.fence,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        updated_at=Timestamp(row.updated_at),
        smtp_code=row.smtp_code,
        detail=row.detail,
    )


DELIVERIES: Repository[Delivery] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
)
