"""What Alembic runs: the revisions that are due, on a connection that it is handed.

The connection is inside a transaction already, which is not ended here: what follows belongs to
the same upgrade.
"""

from alembic import context

from quorate.projections.migrations.revisions import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
