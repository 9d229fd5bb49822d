"""Search in agent mail: the index, and the messages that it does not contain yet."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from quorate.projections.migrations.columns import row_number, text

revision = "0014"
down_revision = "0013"
FILLED = ()


def upgrade() -> None:
    op.create_table(
        "unindexed_messages",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("message_id", text(64), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_tenants",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("key", sa.LargeBinary(32), nullable=False),
        sqlite_with_rowid=False,
    )
    _create_documents()
    # Its messages were sent before this revision.
    op.execute(
        "INSERT INTO unindexed_messages (tenant, message_id)"
        " SELECT DISTINCT tenant, message_id FROM message_bodies"
    )


def _create_documents() -> None:
    op.create_table(
        "search_documents",
        sa.Column("id", row_number(), primary_key=True, autoincrement=False),
        sa.Column("tenant", text(64), nullable=False),
        sa.Column("message_id", text(64), nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("subject_words", text(), nullable=False),
        sa.Column("frequent_words", text(), nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR, "postgresql"), nullable=False),
    )
    op.create_index(
        "search_documents_by_message", "search_documents", ["tenant", "message_id"], unique=True
    )
    op.create_index("search_documents_by_time", "search_documents", ["tenant", "sent_at", "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "search_documents_words",
            "search_documents",
            ["words"],
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        )
        return
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(words, content='search_documents', "
        "content_rowid='id', detail=none, columnsize=0, tokenize='ascii')"
    )
    op.execute(
        "CREATE TRIGGER search_documents_added AFTER INSERT ON search_documents BEGIN "
        "INSERT INTO search_index(rowid, words) VALUES (NEW.id, NEW.words); END"
    )
    op.execute(
        "CREATE TRIGGER search_documents_removed AFTER DELETE ON search_documents BEGIN "
        "INSERT INTO search_index(search_index, rowid, words) "
        "VALUES ('delete', OLD.id, OLD.words); END"
    )
