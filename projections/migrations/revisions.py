"""Which tables a database has: the number of a revision, kept beside them.

Databases of before there was such a number are recognised by their tables.
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

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
NEWEST = REVISIONS[-1]
VERSION_TABLE = "schema_version"  # Not Alembic's usual name: others use the same database.
_BEFORE_NUMBERS = {"notices", "contenders"}
_UNNUMBERED = {False: "0001", True: "0002"}  # By whether both of these are there.

# As Alembic would make it, which keeps the number from here on.
version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def found_in(connection: Connection) -> str | None:
    """The revision of the tables that are there; None when there are none of ours."""
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    if VERSION_TABLE in tables:
        return str(connection.execute(select(version.c.version_num)).scalar_one())
    if "events" not in tables:
        return None
    columns = {column["name"] for column in inspector.get_columns("leases")}
    return _UNNUMBERED[(tables | columns) >= _BEFORE_NUMBERS]


def is_newer(revision: str) -> bool:
    return revision not in REVISIONS


def needs_upgrade(revision: str | None) -> bool:
    return revision is None or (revision != NEWEST and not is_newer(revision))


def number(connection: Connection, revision: str) -> None:
    """Keep the number of a database that has none."""
    version.create(connection, checkfirst=True)
    if connection.execute(select(version.c.version_num)).first() is None:
        connection.execute(insert(version).values(version_num=revision))
