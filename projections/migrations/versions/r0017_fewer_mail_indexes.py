"""Fewer indexes of mailboxes; due mail by domain, and tenants by the label of their mail domain."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import only

revision = "0017"
down_revision = "0016"
FILLED = ()


def upgrade() -> None:
    # Replicas of the version before need none of these indexes to be correct.
    for name in ("mail_entries_by_message", "mail_entries_by_thread", "mail_entries_by_task"):
        op.drop_index(name, "mail_entries")
    op.create_index(
        "mail_entries_by_task",
        "mail_entries",
        ["task_id", "agent_id", "sequence"],
        **only("deleted_at IS NULL AND task_id IS NOT NULL"),
    )
    position = "strpos" if op.get_bind().dialect.name == "postgresql" else "instr"
    domain = f"substr(contact_key, {position}(contact_key, '@') + 1)"
    op.create_index(
        "deliveries_due_by_domain",
        "deliveries",
        [sa.text(domain), "next_attempt_at"],
        **only("next_attempt_at IS NOT NULL"),
    )
    label = sa.text("lower(replace(id, '_', '-'))")
    op.create_index("tenants_by_label", "tenants", [label, "created_at", "id"])
