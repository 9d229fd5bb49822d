"""What a role of PostgreSQL needs in order to serve, and no more.

It can add events, and cannot change or delete any, whatever it is made to try: it owns nothing, so
it cannot take the append-only triggers away either. Projections it can change; to make them anew
is for the owner. Who could serve before an upgrade can afterwards, also on tables that are new.
"""

from sqlalchemy import Connection, func, select, text

from quorate.eventlog.tables import answers, archives, events
from quorate.projections.migrations.revisions import version
from quorate.projections.tables import metadata

_NEEDED = {
    version.name: "SELECT",
    events.name: "SELECT, INSERT",
    archives.name: "SELECT",
    answers.name: "SELECT, INSERT, DELETE",
    **dict.fromkeys(metadata.tables, "SELECT, INSERT, UPDATE"),
}
# Who may add events and does not own them.
_SERVING = text(
    "SELECT DISTINCT rolname FROM pg_class, aclexplode(relacl) AS given, pg_roles"
    " WHERE pg_class.oid = 'events'::regclass AND privilege_type = 'INSERT'"
    " AND pg_roles.oid = given.grantee AND pg_roles.oid <> relowner"
)


def grant(connection: Connection, role: str) -> None:
    """Give ``role`` exactly this on our tables, in place of whatever it had on them."""
    quote = connection.dialect.identifier_preparer.quote
    for table in _NEEDED:
        connection.exec_driver_sql(f"REVOKE ALL ON {quote(table)} FROM {quote(role)}")
    _let_in(connection, role)


def keep(connection: Connection) -> None:
    """Whoever could serve can go on: nothing is taken from it, and new tables are opened to it."""
    if connection.dialect.name == "postgresql":  # SQLite has no roles.
        for role in connection.execute(_SERVING).scalars().all():
            _let_in(connection, role)


def _let_in(connection: Connection, role: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    schema = connection.execute(select(func.current_schema())).scalar_one()
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}")
    for table, rights in _NEEDED.items():
        connection.exec_driver_sql(f"GRANT {rights} ON {quote(table)} TO {quote(role)}")
