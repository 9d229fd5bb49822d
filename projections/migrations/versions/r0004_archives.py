"""Which files hold the events that are no longer in the log's table, and that those may go."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import row_number, text

revision = "0004"
down_revision = "0003"
FILLED = ()

_MAY_GO = (
    "EXISTS (SELECT 1 FROM events AS later WHERE later.tenant = OLD.tenant"
    " AND later.sequence > OLD.sequence"
    " AND later.position <= (SELECT max(last_position) FROM archives))"
)


def upgrade() -> None:
    op.create_table(
        "archives",
        sa.Column("last_position", row_number(), primary_key=True, autoincrement=False),
        sa.Column("first_position", sa.BigInteger, nullable=False),
        sa.Column("file", text(255), nullable=False),
        sa.Column("sha256", text(64), nullable=False),
        sa.Column("archived_at", sa.BigInteger, nullable=False),
    )
    if op.get_context().dialect.name == "sqlite":
        _protect_on_sqlite()
    else:
        _protect_on_postgresql()


def _protect_on_sqlite() -> None:
    op.execute("DROP TRIGGER events_no_delete")
    op.execute(_trigger("events", "delete", f"WHEN NOT ({_MAY_GO}) "))
    for change in ("update", "delete"):
        op.execute(_trigger("archives", change, ""))


def _trigger(table: str, change: str, when: str) -> str:
    return (
        f"CREATE TRIGGER {table}_no_{change} BEFORE {change} ON {table} {when}"
        f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
    )


def _protect_on_postgresql() -> None:
    passed = f"IF TG_OP = 'DELETE' THEN IF {_MAY_GO} THEN RETURN OLD; END IF; END IF; "
    op.execute(_function("events", passed))
    op.execute(_function("archives", ""))
    for name, what in (
        ("change", "BEFORE UPDATE OR DELETE ON archives FOR EACH ROW"),
        ("truncate", "BEFORE TRUNCATE ON archives FOR EACH STATEMENT"),
    ):
        call = "EXECUTE FUNCTION archives_are_append_only()"
        op.execute(f"CREATE TRIGGER archives_no_{name} {what} {call}")


def _function(table: str, passed: str) -> str:
    refusal = f"BEGIN {passed}RAISE EXCEPTION '{table} are append-only'; END"
    return (
        f"CREATE OR REPLACE FUNCTION {table}_are_append_only() RETURNS trigger "
        f"LANGUAGE plpgsql AS $$ {refusal} $$"
    )
