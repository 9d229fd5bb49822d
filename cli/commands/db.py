"""`quorate db`: the tables of a database made, upgraded, and looked at."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.database_options import DatabaseTarget, database_failures, database_options
from quorate.cli.options import json_option
from quorate.cli.output.console import Progress, print_json, progress, say
from quorate.cli.output.errors import Failure

if TYPE_CHECKING:
    from quorate.projections.migrations.schema import Prepared

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
    || echo "an upgrade is due"
"""


@click.command(epilog=UPGRADE_EPILOG)
@database_options
@click.option(
    "--grant-to",
    metavar="ROLE",
    help="Also let this role of PostgreSQL serve, and change or delete no event. Whoever could "
    "serve before still can.",
)
@archive_option
@json_option
def upgrade(
    database: DatabaseTarget, grant_to: str | None, archive: Path | None, as_json: bool
) -> None:
    """Make the tables, or bring older ones to this version.

    All or nothing, and safe to be called by many at once. On PostgreSQL services may be running;
    commands wait for the end of it. In a data folder none may be; the next start would do the same.
    """
    import asyncio

    with database_failures():
        if grant_to is not None and database.path is not None:
            raise click.UsageError("--grant-to is for PostgreSQL: SQLite has no roles.")
        with database.alone(), progress("Upgrading") as advance:
            prepared = asyncio.run(_upgrade(database, grant_to, archive, advance))
    if as_json:
        print_json({**_facts(prepared.revision), **_done(prepared)})
    else:
        say(_told(prepared))


@click.command(epilog=CURRENT_EPILOG)
@database_options
@json_option
def current(database: DatabaseTarget, as_json: bool) -> None:
    """Tell of which revision the tables are."""
    revision = _found(database)
    facts = _facts(revision)
    if as_json:
        print_json(facts)
    elif revision is None:
        say(f"There are no tables; this version's are {facts['newest']}.")
    else:
        say(f"{revision}; this version's is {facts['newest']}.")


@click.command(epilog=CHECK_EPILOG)
@database_options
@json_option
def check(database: DatabaseTarget, as_json: bool) -> None:
    """End with 1 when an upgrade is needed."""
    from quorate.projections.migrations.revisions import is_newer

    revision = _found(database)
    facts = _facts(revision)
    if as_json:
        print_json(facts)
    if facts["upgradeNeeded"]:
        raise Failure(f"An upgrade is needed, from {revision or 'nothing'} to {facts['newest']}")
    if not as_json:
        newer = revision is not None and is_newer(revision)
        say(f"Nothing to do: {revision} is {'newer than' if newer else 'what'} this version knows.")


async def _upgrade(
    database: DatabaseTarget, role: str | None, archive: Path | None, advance: Progress
) -> "Prepared":
    from collections.abc import Callable

    from sqlalchemy import Connection

    from quorate.projections.migrations.grants import grant, keep
    from quorate.projections.migrations.schema import CurrentSchema

    def work(connection: Connection, lock_log: Callable[[], None]) -> "Prepared":
        prepared = CurrentSchema(archive).prepare(connection, lock_log, advance)
        keep(connection)
        if role is not None:
            grant(connection, role)
        return prepared

    if database.path is not None:
        database.path.parent.mkdir(parents=True, exist_ok=True)
    return await database.backend().define(work)


def _found(database: DatabaseTarget) -> str | None:
    import asyncio

    with database_failures():
        from quorate.projections.migrations.revisions import found_in

        database.must_exist()
        return asyncio.run(database.backend().inspect(found_in))


def _facts(revision: str | None) -> dict[str, object]:
    from quorate.projections.migrations.revisions import NEWEST, needs_upgrade

    return {
        "revision": revision,
        "newest": NEWEST,
        "upgradeNeeded": needs_upgrade(revision),
    }


def _done(prepared: "Prepared") -> dict[str, object]:
    return {"found": prepared.found, "events": prepared.events, "rows": prepared.rows}


def _told(prepared: "Prepared") -> str:
    if prepared.found is None:
        return f"The tables were made: {prepared.revision}."
    if prepared.found == prepared.revision:
        return f"Nothing to do: the tables are {prepared.revision}."
    return (
        f"Upgraded from {prepared.found} to {prepared.revision}: "
        f"{prepared.rows} rows from {prepared.events} events."
    )
