"""The history of the read models.

Its tables are not written here: they have the columns of the read models, which later revisions
change. ``upgrade.py`` creates them after the last revision, from the current read models, and the
service fills them in the background.
"""

revision = "0026"
down_revision = "0025"
FILLED = ()


def upgrade() -> None:
    """Change nothing: see above."""
