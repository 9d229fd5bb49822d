"""What a role of PostgreSQL needs in order to serve, and no more.

It can add events, and cannot change or delete any, whatever it is made to try: it owns nothing, so
it cannot take the append-only triggers away either. Projections it can change; to make them anew
is for the owner.
"""

from sqlalchemy import Connection, func, select

from quorate.eventlog.schema import answers, archives, events
from quorate.projections.migrations.revisions import version
from quorate.projections.tables import metadata

_NEEDED = {
    version.name: "SELECT",
    events.name: "SELECT, INSERT",
    archives.name: "SELECT",
    answers.name: "SELECT, INSERT, DELETE",
    **dict.fromkeys(metadata.tables, "SELECT, INSERT, UPDATE"),
}


def grant(connection: Connection, role: str) -> None:
    """Give ``role`` exactly this on our tables, in place of whatever it had on them."""
    quote = connection.dialect.identifier_preparer.quote
    schema = connection.execute(select(func.current_schema())).scalar_one()
    statements = [f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(role)}"]
    for table, rights in _NEEDED.items():
        statements.append(f"REVOKE ALL ON {quote(table)} FROM {quote(role)}")
        statements.append(f"GRANT {rights} ON {quote(table)} TO {quote(role)}")
    for statement in statements:
        connection.exec_driver_sql(statement)
