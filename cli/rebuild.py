"""`quorate rebuild`: the projections built again from the log, or checked against it."""

import sys
import time
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from quorate.cli.failures import ERROR, Failure
from quorate.cli.options import DATABASE, data_dir_option, json_option
from quorate.cli.output import Progress, print_json, print_table, progress

if TYPE_CHECKING:
    from quorate.projections.differences import Difference
    from quorate.projections.rebuild import Checked, Rebuilt

Result = TypeVar("Result")
Work: TypeAlias = "Coroutine[Any, Any, tuple[Rebuilt | Checked, float]]"
EPILOG = """
\b
Examples:
  quorate rebuild --check
  quorate rebuild
"""


@click.command(epilog=EPILOG)
@data_dir_option("The service's data folder.")
@click.option("--check", is_flag=True, help="Change nothing: rebuild beside, and compare all rows.")
@json_option
def rebuild(data_dir: Path, check: bool, as_json: bool) -> None:
    """Build what readers see anew from the log. The service must be stopped.

    With --check it may be running: the projections are built beside the live ones from one
    snapshot of the log, and every row is compared. Ends with 1 when any differs.
    """
    import asyncio

    try:
        from quorate.eventlog.chain import ChainBroken
        from quorate.eventlog.lock import Locked
        from quorate.eventlog.log import LogDamaged
        from quorate.eventlog.session import Broken
        from quorate.projections.folding import Unfoldable
    except ImportError as error:
        raise Failure(f"{error.name} is missing: pip install 'quorate[server]'") from error
    data_dir = data_dir.expanduser()
    if not (data_dir / DATABASE).is_file():
        raise Failure(f"There is no log at {data_dir / DATABASE}")
    try:
        with progress("Checking" if check else "Rebuilding") as advance:
            work: Work = _check(data_dir, advance) if check else _rebuild(data_dir, advance)
            done, seconds = asyncio.run(work)
    except Locked as locked:
        raise Failure(f"{locked}: stop it first, or use --check") from locked
    except (ChainBroken, LogDamaged, Unfoldable) as damage:
        raise Failure(f"The log is damaged: {damage}") from damage
    except Broken as error:
        why, _, _ = str(error).partition("\n")
        raise Failure(f"{data_dir / DATABASE} cannot be used: {why}") from error
    _tell(done, seconds, as_json)


async def _rebuild(data_dir: Path, advance: Progress) -> "tuple[Rebuilt, float]":
    from quorate.eventlog.lock import DataDirLock
    from quorate.eventlog.log import EventLog
    from quorate.eventlog.sqlite import SqliteBackend
    from quorate.projections.rebuild import rebuild

    with DataDirLock(data_dir):
        log = EventLog(SqliteBackend(data_dir / DATABASE))
        try:
            await log.open()
            return await _timed(rebuild(log.backend, advance))
        finally:
            await log.close()


async def _check(data_dir: Path, advance: Progress) -> "tuple[Checked, float]":
    import tempfile

    from quorate.eventlog.sqlite import SqliteBackend
    from quorate.eventlog.sqlite_snapshot import SqliteSnapshot
    from quorate.projections.rebuild import check

    with tempfile.TemporaryDirectory(prefix="quorate-check-") as beside:
        live = SqliteSnapshot(data_dir / DATABASE)
        scratch = SqliteBackend(Path(beside) / DATABASE)
        try:
            await live.open()
            await scratch.open([], [])
            return await _timed(check(live, scratch, advance))
        finally:
            await live.close()
            await scratch.close()


async def _timed(work: Awaitable[Result]) -> tuple[Result, float]:
    """Without the opening and closing of the log: what grows with it."""
    started = time.monotonic()
    return await work, time.monotonic() - started


def _tell(done: "Rebuilt | Checked", seconds: float, as_json: bool) -> None:
    from quorate.projections.rebuild import Checked

    rate = round(done.events / seconds)
    found: dict[str, Any] = {
        "events": done.events,
        "rows": done.rows,
        "seconds": round(seconds, 3),
        "eventsPerSecond": rate,
    }
    differences = done.differences if isinstance(done, Checked) else None
    if differences is not None:
        found["differences"] = differences.count
        found["named"] = [_as_json(one) for one in differences.named]
    if as_json:
        print_json(found)
    elif differences is None:
        click.echo(f"Rebuilt {done.rows} rows from {done.events} events ({rate} events/s).")
    elif not differences.count:
        click.echo(f"All {done.rows} rows are what the {done.events} events say.")
    else:
        rows = [_as_row(one) for one in differences.named]
        print_table("Differences", ("table", "key", "column", "live", "rebuilt"), rows)
        click.echo(f"Error: {differences.count} differences between table and log.", err=True)
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
            *("none" if row is None else "there" for row in (one.live, one.rebuilt)),
        )
    return (one.table, key, one.column, str(one.live), str(one.rebuilt))
