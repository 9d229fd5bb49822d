"""`quorate db`: create, upgrade and check the database schema."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.database_options import DatabaseTarget, database_options, report_database_errors
from quorate.cli.options import json_option
from quorate.cli.output.console import Progress, print_json, print_line, progress
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.projections.migrations.schema import PreparedSchema

UPGRADE_EPILOG = """
\b
Examples:
  quorate db upgrade --database-url postgresql+asyncpg://owner@host/quorate
  quorate db upgrade --database-url postgresql+asyncpg://owner@host/quorate \\
    --grant-to quorate_service
"""
CURRENT_EPILOG = """
\b
Example:
  quorate db current --database-url postgresql+asyncpg://owner@host/quorate
"""
CHECK_EPILOG = """
\b
Example:
  quorate db check --database-url postgresql+asyncpg://owner@host/quorate \\
    || echo "upgrade needed"
"""


@click.command(epilog=UPGRADE_EPILOG)
@database_options
@click.option(
    "--grant-to",
    metavar="ROLE",
    help="Also grant this PostgreSQL role the rights of a service: it can append events but not "
    "change or delete them. Earlier grants stay.",
)
@archive_option
@json_option
def upgrade(
    database: DatabaseTarget, grant_to: str | None, archive: Path | None, as_json: bool
) -> None:
    """Create the tables, or upgrade them to this version.

    The upgrade is atomic, and several processes may start it at once. On PostgreSQL services may be
    running; their commands wait until it ends. With SQLite no service may be running; `quorate
    serve` performs the same upgrade when it starts.
    """
    import asyncio

    with report_database_errors():
        if grant_to is not None and database.path is not None:
            raise click.UsageError("--grant-to needs PostgreSQL: SQLite has no roles.")
        with database.lock(), progress("Upgrading") as advance:
            prepared = asyncio.run(_upgrade(database, grant_to, archive, advance))
    if as_json:
        print_json({**_details(prepared.revision), **_done(prepared)})
    else:
        print_line(_describe(prepared))


@click.command(epilog=CURRENT_EPILOG)
@database_options
@json_option
def current(database: DatabaseTarget, as_json: bool) -> None:
    """Show the current schema revision."""
    revision = _find_revision(database)
    details = _details(revision)
    if as_json:
        print_json(details)
    elif revision is None:
        print_line(f"The database has no tables; this version needs {details['newest']}.")
    else:
        print_line(f"{revision}; this version needs {details['newest']}.")


@click.command(epilog=CHECK_EPILOG)
@database_options
@json_option
def check(database: DatabaseTarget, as_json: bool) -> None:
    """Exit with 1 if the schema needs an upgrade, else with 0."""
    from quorate.projections.migrations.revisions import is_newer

    revision = _find_revision(database)
    details = _details(revision)
    if as_json:
        print_json(details)
    if details["upgradeNeeded"]:
        raise Failure(f"Upgrade needed: from {revision or 'no tables'} to {details['newest']}")
    if not as_json:
        newer = revision is not None and is_newer(revision)
        relation = "newer than" if newer else "the revision of"
        print_line(f"No upgrade needed: {revision} is {relation} this version.")


async def _upgrade(
    database: DatabaseTarget, role: str | None, archive: Path | None, advance: Progress
) -> "PreparedSchema":
    from collections.abc import Callable

    from sqlalchemy import Connection

    from quorate.projections.migrations.grants import extend_grants, grant
    from quorate.projections.migrations.schema import CurrentSchema

    def work(connection: Connection, lock_log: Callable[[], None]) -> "PreparedSchema":
        prepared = CurrentSchema(archive).prepare(connection, lock_log, advance)
        extend_grants(connection)
        if role is not None:
            grant(connection, role)
        return prepared

    if database.path is not None:
        database.path.parent.mkdir(parents=True, exist_ok=True)
    return await database.adapter().define(work)


def _find_revision(database: DatabaseTarget) -> str | None:
    import asyncio

    with report_database_errors():
        from quorate.projections.migrations.revisions import find_revision

        database.require_existing()
        return asyncio.run(database.adapter().inspect(find_revision))


def _details(revision: str | None) -> dict[str, object]:
    from quorate.projections.migrations.revisions import NEWEST, needs_upgrade

    return {
        "revision": revision,
        "newest": NEWEST,
        "upgradeNeeded": needs_upgrade(revision),
    }


def _done(prepared: "PreparedSchema") -> dict[str, object]:
    return {"found": prepared.found, "events": prepared.events, "rows": prepared.rows}


def _describe(prepared: "PreparedSchema") -> str:
    if prepared.found is None:
        return f"Created the tables: {prepared.revision}."
    if prepared.found == prepared.revision:
        return f"No upgrade needed: the tables are {prepared.revision}."
    return (
        f"Upgraded from {prepared.found} to {prepared.revision}: "
        f"{prepared.rows} rows from {prepared.events} events."
    )
