"""The tables of the first release: the log, the answers under idempotency keys, the projections."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import only, row_number, text

revision = "0001"
down_revision = None
FILLED = ("agents", "configs", "keys", "leases", "requests", "tenants", "votes")

_REFUSE = "SELECT RAISE(ABORT, 'events are append-only')"
_REFUSAL = "BEGIN RAISE EXCEPTION 'events are append-only'; END"
_FUNCTION = "FUNCTION events_are_append_only() RETURNS trigger"
_CALL_IT = "EXECUTE FUNCTION events_are_append_only()"
_ON_EACH = f"ON events FOR EACH ROW {_CALL_IT}"
_ON_ALL = f"ON events FOR EACH STATEMENT {_CALL_IT}"
_APPEND_ONLY = {
    "sqlite": (
        f"CREATE TRIGGER events_no_update BEFORE update ON events BEGIN {_REFUSE}; END",
        f"CREATE TRIGGER events_no_delete BEFORE delete ON events BEGIN {_REFUSE}; END",
    ),
    "postgresql": (
        f"CREATE OR REPLACE {_FUNCTION} LANGUAGE plpgsql AS $$ {_REFUSAL} $$",
        f"CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE {_ON_EACH}",
        f"CREATE TRIGGER events_no_truncate BEFORE TRUNCATE {_ON_ALL}",
    ),
}


def upgrade() -> None:
    _make_the_log()
    _make_tenants_and_keys()
    _make_agents()
    _make_leases()
    _make_votes()


def _make_the_log() -> None:
    op.create_table(
        "events",
        sa.Column("position", row_number(), primary_key=True),
        sa.Column("tenant", text(64), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("id", text(36), nullable=False),
        sa.Column("stream", text(), nullable=False),
        sa.Column("type", text(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", text(64), nullable=False),
        sa.Column("command_id", text(36), nullable=False),
        sa.Column("data", text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
    )
    op.create_index("events_by_tenant", "events", ["tenant", "sequence"], unique=True)
    for statement in _APPEND_ONLY[op.get_context().dialect.name]:
        op.execute(statement)
    op.create_table(
        "answers",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("caller", text(64), primary_key=True),
        sa.Column("command", text(64), primary_key=True),
        sa.Column("key", text(256), primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("code", text(64)),
        sa.Column("body", text(), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("answers_by_age", "answers", ["at"])


def _make_tenants_and_keys() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "keys",
        sa.Column("id", text(32), primary_key=True),
        sa.Column("tenant", text(64), nullable=False),
        sa.Column("role", text(16), nullable=False),
        sa.Column("secret_hash", text(64), nullable=False),
        sa.Column("agent_id", text(64)),
        sa.Column("agent_name", text(64)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("keys_by_tenant", "keys", ["tenant", "id"])


def _make_agents() -> None:
    op.create_table(
        "agents",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("name_key", text(64), nullable=False),
        sa.Column("name", text(64), nullable=False),
        sa.Column("role", text(), nullable=False),
        sa.Column("incarnation", sa.Integer, nullable=False),
        sa.Column("registered_at", sa.BigInteger, nullable=False),
        sa.Column("last_heartbeat", sa.BigInteger, nullable=False),
        sa.Column("active_until", sa.BigInteger, nullable=False),
        sa.Column("status", text(16), nullable=False),
        sqlite_with_rowid=False,
    )
    active = only("status = 'active'")
    op.create_index("agents_by_name", "agents", ["tenant", "name_key"], unique=True)
    op.create_index("agents_due", "agents", ["active_until"], **active)
    op.create_index("agents_active", "agents", [sa.text("(tenant || '')")], **active)
    op.create_table(
        "configs",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("agent_id", text(64), primary_key=True),
        sa.Column("settings", text(), nullable=False),
        sqlite_with_rowid=False,
    )


def _make_leases() -> None:
    op.create_table(
        "leases",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(36), primary_key=True),
        sa.Column("contact_key", text(), nullable=False),
        sa.Column("contact_email", text(), nullable=False),
        sa.Column("agent_id", text(64), nullable=False),
        sa.Column("intent", text(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("status", text(16), nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    live = only("ended_at IS NULL")
    op.create_index("leases_live", "leases", ["tenant", "contact_key"], unique=True, **live)
    op.create_index("leases_held", "leases", ["agent_id"], **live)
    op.create_index("leases_due", "leases", ["expires_at"], **live)


def _make_votes() -> None:
    op.create_table(
        "requests",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(36), primary_key=True),
        sa.Column("agent_id", text(64), nullable=False),
        sa.Column("action", text(), nullable=False),
        sa.Column("contact_key", text(), nullable=False),
        sa.Column("contact_email", text(), nullable=False),
        sa.Column("reason", text(), nullable=False),
        sa.Column("status", text(16), nullable=False),
        sa.Column("timeout_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("electorate", text(16), nullable=False),
        sa.Column("proposer_votes", sa.Boolean, nullable=False),
        sa.Column("floor", text()),
        sa.Column("eligible", sa.Integer, nullable=False),
        sa.Column("minimum", sa.Integer, nullable=False),
        sa.Column("members", text()),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("approvals", sa.Integer),
        sa.Column("rejections", sa.Integer),
        sa.Column("electorate_size", sa.Integer),
        sqlite_with_rowid=False,
    )
    pending = only("status = 'pending'")
    op.create_index("requests_due", "requests", ["timeout_at"], **pending)
    op.create_index("requests_by_status", "requests", ["tenant", "status", "id"])
    op.create_table(
        "votes",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("request_id", text(36), primary_key=True),
        sa.Column("agent_id", text(64), primary_key=True),
        sa.Column("id", text(36), nullable=False),
        sa.Column("vote", text(16), nullable=False),
        sa.Column("reason", text()),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
