"""`quorate rebuild`: rebuild the projections from the event log, or compare them with it."""

import sys
import time
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from quorate.cli.audit.archived_events import archive_option
from quorate.cli.database_options import DatabaseTarget, database_options, report_database_errors
from quorate.cli.options import DATABASE, json_option
from quorate.cli.output.console import Progress, print_json, print_table, progress
from quorate.cli.output.errors import ERROR

if TYPE_CHECKING:
    from quorate.projections.comparison import Difference
    from quorate.projections.rebuild import RebuildCheckResult, RebuildResult

Result = TypeVar("Result")
Work: TypeAlias = "Coroutine[Any, Any, tuple[RebuildResult | RebuildCheckResult, float]]"
EPILOG = """
\b
Examples:
  quorate rebuild --check
  quorate rebuild
  quorate rebuild --database-url postgresql+asyncpg://owner@host/quorate
"""


@click.command(epilog=EPILOG)
@database_options
@click.option(
    "--check",
    is_flag=True,
    help="Compare only: rebuild into a scratch database and compare all rows.",
)
@archive_option
@json_option
def rebuild(database: DatabaseTarget, check: bool, archive: Path | None, as_json: bool) -> None:
    """Rebuild the projections from the event log.

    With SQLite the service must be stopped. On PostgreSQL services may be running; commands wait
    while rows that differ are replaced.

    --check changes nothing: it builds the projections in a scratch database from one snapshot of
    the log and compares every row. It exits with 1 if a row differs.
    """
    import asyncio

    with report_database_errors():
        database.require_existing()
        with progress("Checking" if check else "Rebuilding") as advance:
            build = _check if check else _rebuild
            work: Work = build(database, archive, advance)
            done, seconds = asyncio.run(work)
    _print_result(done, seconds, as_json)


async def _rebuild(
    database: DatabaseTarget, archive: Path | None, advance: Progress
) -> "tuple[RebuildResult, float]":
    from quorate.projections.migrations.schema import CURRENT_SCHEMA_ONLY
    from quorate.projections.online_rebuild import rebuild_online
    from quorate.projections.rebuild import rebuild

    with database.lock():
        adapter = database.adapter()
        try:
            await adapter.open(CURRENT_SCHEMA_ONLY)
            run_rebuild = rebuild_online if database.path is None else rebuild
            return await _timed(run_rebuild(adapter, advance, archive))
        finally:
            await adapter.close()


async def _check(
    database: DatabaseTarget, archive: Path | None, advance: Progress
) -> "tuple[RebuildCheckResult, float]":
    import tempfile

    from quorate.eventlog.sqlite.database import SqliteDatabase
    from quorate.eventlog.sqlite.snapshot import SqliteSnapshot
    from quorate.projections.migrations.schema import CURRENT_SCHEMA_ONLY
    from quorate.projections.rebuild import check

    with tempfile.TemporaryDirectory(prefix="quorate-check-") as beside:
        live = SqliteSnapshot(database.path) if database.path else database.adapter()
        scratch = SqliteDatabase(Path(beside) / DATABASE)
        try:
            await live.open(CURRENT_SCHEMA_ONLY)
            await scratch.open()
            return await _timed(check(live, scratch, advance, archive))
        finally:
            await live.close()
            await scratch.close()


async def _timed(work: Awaitable[Result]) -> tuple[Result, float]:
    """Measure the work without opening and closing the database."""
    started = time.monotonic()
    return await work, time.monotonic() - started


def _print_result(
    done: "RebuildResult | RebuildCheckResult", seconds: float, as_json: bool
) -> None:
    from quorate.projections.rebuild import RebuildCheckResult

    rate = round(done.events / seconds)
    found: dict[str, Any] = {
        "events": done.events,
        "rows": done.rows,
        "seconds": round(seconds, 3),
        "eventsPerSecond": rate,
    }
    differences = done.differences if isinstance(done, RebuildCheckResult) else None
    if differences is not None:
        found["differences"] = differences.count
        found["named"] = [_as_json(one) for one in differences.listed]
    if as_json:
        print_json(found)
    elif differences is None:
        click.echo(f"Rebuilt {done.rows} rows from {done.events} events ({rate} events/s).")
    elif not differences.count:
        click.echo(f"All {done.rows} rows match the {done.events} events.")
    else:
        rows = [_as_row(one) for one in differences.listed]
        print_table("Differences", ("table", "key", "column", "live", "rebuilt"), rows)
        click.echo(
            f"Error: {differences.count} differences between projections and event log.", err=True
        )
    if differences is not None and differences.count:
        sys.exit(ERROR)


def _as_json(one: "Difference") -> dict[str, Any]:
    return {
        "table": one.table,
        "key": dict(one.key),
        "column": one.column,
        "live": one.live,
        "rebuilt": one.rebuilt,
    }


def _as_row(one: "Difference") -> tuple[str, ...]:
    key = " ".join(map(str, one.key.values()))
    if one.column is None:
        return (
            one.table,
            key,
            "(row)",
            *("missing" if row is None else "present" for row in (one.live, one.rebuilt)),
        )
    return (one.table, key, one.column, str(one.live), str(one.rebuilt))
