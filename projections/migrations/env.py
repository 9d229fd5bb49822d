"""Entry point of Alembic: run the pending revisions on the given connection.

The connection is already inside a transaction. The caller commits it, after further steps of the
same upgrade.
"""

from alembic import context

from quorate.projections.migrations.revisions import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
