"""Grant a PostgreSQL role the privileges that the server needs, and no others.

* The role can append events. It cannot change or delete them, even through a defect of the server.
* The role owns no table, so it cannot drop the append-only triggers.
* The role can change projections. Only the owner of the tables can rebuild them.
* An upgrade extends the privileges of each server role to new tables.
"""

from sqlalchemy import Connection, func, select, text

from quorate.eventlog.tables import (
    answers,
    archives,
    clock_corrections,
    console_sessions,
    events,
    identity,
    message_bodies,
    search_documents,
    search_tenants,
    unindexed_messages,
)
from quorate.projections.history import tables as history
from quorate.projections.migrations.revisions import version
from quorate.projections.registry import REPOSITORIES
from quorate.projections.tables import metadata

_PRIVILEGES = {
    version.name: "SELECT",
    events.name: "SELECT, INSERT",
    archives.name: "SELECT",
    identity.name: "SELECT",
    answers.name: "SELECT, INSERT, DELETE",
    clock_corrections.name: "SELECT, INSERT, DELETE",
    console_sessions.name: "SELECT, INSERT, DELETE",
    message_bodies.name: "SELECT, INSERT, DELETE",
    unindexed_messages.name: "SELECT, INSERT, DELETE",
    search_tenants.name: "SELECT, INSERT",
    search_documents.name: "SELECT, INSERT, DELETE",
    **dict.fromkeys(metadata.tables, "SELECT, INSERT, UPDATE"),
    # The service empties the history if events that it lacks were archived.
    **dict.fromkeys(history.metadata.tables, "SELECT, INSERT, UPDATE, DELETE"),
    # Rows of what was removed are deleted.
    **{
        one.table.name: "SELECT, INSERT, UPDATE, DELETE"
        for one in REPOSITORIES
        if one.is_removed is not None
    },
}
# The roles that may append events, except the owner of the table.
_SERVER_ROLES = text(
    "SELECT DISTINCT rolname FROM pg_class, aclexplode(relacl) AS given, pg_roles"
    " WHERE pg_class.oid = 'events'::regclass AND privilege_type = 'INSERT'"
    " AND pg_roles.oid = given.grantee AND pg_roles.oid <> relowner"
)


def grant(connection: Connection, role: str) -> None:
    """Replace all privileges of ``role`` on the tables of Quorate by exactly these."""
    quote = connection.dialect.identifier_preparer.quote
    for table in _PRIVILEGES:
        connection.exec_driver_sql(f"REVOKE ALL ON {quote(table)} FROM {quote(role)}")
    _grant_privileges(connection, role)


def extend_grants(connection: Connection) -> None:
    """Grant server roles the privileges on new tables; revoke nothing."""
    if connection.dialect.name == "postgresql":  # SQLite has no roles.
        for role in connection.execute(_SERVER_ROLES).scalars().all():
            _grant_privileges(connection, role)


def _grant_privileges(connection: Connection, role: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    schema = connection.execute(select(func.current_schema())).scalar_one()
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}")
    for table, rights in _PRIVILEGES.items():
        connection.exec_driver_sql(f"GRANT {rights} ON {quote(table)} TO {quote(role)}")
