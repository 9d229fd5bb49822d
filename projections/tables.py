"""The tables that readers see. All of them can be dropped and built again from the log.

A partial unique index holds what matters most even against our own bugs: one live lease per
contact of a tenant.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    Table,
    literal_column,
    null,
)
from sqlalchemy import text as sql

from quorate.domain.shared.quotas import COUNTED
from quorate.eventlog.tables import text

metadata = MetaData()
_LIVE = sql("ended_at IS NULL")
_ACTIVE = sql("status = 'active'")
_PENDING = sql("status = 'pending'")

tenants = Table(
    "tenants",
    metadata,
    Column("id", text(64), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

keys = Table(
    "keys",
    metadata,
    Column("id", text(32), primary_key=True),
    Column("tenant", text(64), nullable=False),
    Column("role", text(16), nullable=False),
    Column("secret_hash", text(64), nullable=False),
    Column("agent_id", text(64)),
    Column("agent_name", text(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Index("keys_by_tenant", "tenant", "id"),
    sqlite_with_rowid=False,
)

agents = Table(
    "agents",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("name_key", text(64), nullable=False),
    Column("name", text(64), nullable=False),
    Column("role", text(), nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("last_heartbeat", BigInteger, nullable=False),
    Column("active_until", BigInteger, nullable=False),
    Column("status", text(16), nullable=False),
    Index("agents_by_name", "tenant", "name_key", unique=True),
    Index("agents_due", "active_until", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    # By an expression, so that it is not passed over for the key that begins with the tenant too:
    # those that lapsed long ago may be many.
    Index("agents_active", sql("(tenant || '')"), sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(36), primary_key=True),
    Column("contact_key", text(), nullable=False),
    Column("contact_email", text(), nullable=False),
    Column("agent_id", text(64), nullable=False),
    Column("intent", text(), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("status", text(16), nullable=False),
    Column("contenders", text()),  # A JSON array of agent ids; null when there are none.
    Column("ended_at", BigInteger),
    Index(
        "leases_live",
        "tenant",
        "contact_key",
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    ),
    Index("leases_held", "agent_id", sqlite_where=_LIVE, postgresql_where=_LIVE),
    Index("leases_due", "expires_at", sqlite_where=_LIVE, postgresql_where=_LIVE),
    sqlite_with_rowid=False,
)

# The tenant of an agent where only the active ones are looked for; see the index.
active_agent_tenant: ColumnElement[str] = literal_column("(agents.tenant || '')")

# The tenant of a lease where its holder is what it is looked up by: compared, but nothing that an
# index knows. Left to choose, SQLite would rather walk through all leases of the tenant.
lease_tenant_compared = leases.c.tenant.concat("")

requests = Table(
    "requests",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(36), primary_key=True),
    Column("agent_id", text(64), nullable=False),
    Column("action", text(), nullable=False),
    Column("contact_key", text(), nullable=False),
    Column("contact_email", text(), nullable=False),
    Column("reason", text(), nullable=False),
    Column("status", text(16), nullable=False),
    Column("timeout_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("electorate", text(16), nullable=False),
    Column("proposer_votes", Boolean, nullable=False),
    Column("floor", text()),
    Column("eligible", Integer, nullable=False),
    Column("minimum", Integer, nullable=False),
    Column("members", text()),  # A JSON array of agent ids.
    Column("closed_at", BigInteger),
    Column("approvals", Integer),
    Column("rejections", Integer),
    Column("electorate_size", Integer),
    Index("requests_due", "timeout_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
    Index("requests_by_status", "tenant", "status", "id"),
    sqlite_with_rowid=False,
)

votes = Table(
    "votes",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("request_id", text(36), primary_key=True),
    Column("agent_id", text(64), primary_key=True),
    Column("id", text(36), nullable=False),
    Column("vote", text(16), nullable=False),
    Column("reason", text()),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

configs = Table(
    "configs",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("agent_id", text(64), primary_key=True),
    Column("settings", text(), nullable=False),  # A JSON object.
    sqlite_with_rowid=False,
)

# Who was told of which event: found again by whom it concerns. What was said is in the event.
notices = Table(
    "notices",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("agent_id", text(64), primary_key=True),  # Or EVERYONE.
    Column("sequence", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)


def without(left_out: Column[Any]) -> list[ColumnElement[Any]]:
    """All columns of its table, but null for this one: it may be long, and is not asked about."""
    return [
        null().label(column.name) if column is left_out else column
        for column in left_out.table.columns
    ]


# How many of each thing a tenant has, and how many live leases each of its agents, for quotas. What
# a batch brings is added to what is there, so that a batch that decides nothing by it need not
# read it. A column that came later has a default, for replicas that do not know of it yet.
ADDED = "added"
counts = Table(
    "counts",
    metadata,
    Column("tenant", text(64), primary_key=True),
    *(
        Column(
            counted,
            BigInteger,
            nullable=False,
            server_default="0" if counted == "settings_bytes" else None,
            info={ADDED: True},
        )
        for counted in COUNTED
    ),
    sqlite_with_rowid=False,
)
holdings = Table(
    "holdings",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("agent_id", text(64), primary_key=True),
    Column("live_leases", BigInteger, nullable=False, info={ADDED: True}),
    sqlite_with_rowid=False,
)
