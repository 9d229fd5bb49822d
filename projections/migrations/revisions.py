"""Read and store the schema revision of a database.

Databases of versions that stored no revision are recognized by their tables.
"""

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    select,
)

REVISIONS = tuple(f"{number:04}" for number in range(1, 28))
NEWEST = REVISIONS[-1]
VERSION_TABLE = "schema_version"  # Not Alembic's default name: other software may use the database.
_BEFORE_NUMBERS = {"notices", "contenders"}
_UNNUMBERED_REVISIONS = {False: "0001", True: "0002"}  # By whether both of these exist.

# Defined like Alembic's own table: Alembic updates it in upgrades.
version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def find_revision(connection: Connection) -> str | None:
    """Return the revision of the existing tables, or None if Quorate has no tables yet."""
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    if VERSION_TABLE in tables:
        return str(connection.execute(select(version.c.version_num)).scalar_one())
    if "events" not in tables:
        return None
    columns = {column["name"] for column in inspector.get_columns("leases")}
    return _UNNUMBERED_REVISIONS[(tables | columns) >= _BEFORE_NUMBERS]


def is_newer(revision: str) -> bool:
    return revision not in REVISIONS


def needs_upgrade(revision: str | None) -> bool:
    return revision is None or (revision != NEWEST and not is_newer(revision))


def store_revision(connection: Connection, revision: str) -> None:
    """Store the revision in a database that stores none yet."""
    version.create(connection, checkfirst=True)
    if connection.execute(select(version.c.version_num)).first() is None:
        connection.execute(insert(version).values(version_num=revision))
