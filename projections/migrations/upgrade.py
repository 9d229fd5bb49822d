"""Upgrade older tables to the current ones, in the transaction of the caller."""

from collections.abc import Callable, Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Table

from quorate.eventlog.archive.files import ArchiveCorrupted, ArchiveNeeded
from quorate.eventlog.database import SchemaOutdated
from quorate.eventlog.event_store import LogCorrupted
from quorate.projections.history.refill import create_again
from quorate.projections.migrations.revisions import NEWEST, store_revision
from quorate.projections.online_rebuild import OnlineRebuild
from quorate.projections.rebuild import Progress, RebuildResult
from quorate.projections.replay import ReplayFailed
from quorate.projections.tables import metadata


def upgrade(
    connection: Connection,
    found: str,
    lock_log: Callable[[], None],
    progress: Progress,
    archive: Path | None = None,
) -> RebuildResult:
    """Upgrade from the revision found to the newest one.

    Raise SchemaOutdated when the log is corrupted, or when ``archive`` lacks needed events.
    """
    config = _config(connection)
    try:
        rebuild = OnlineRebuild(
            connection, _tables_to_fill(_pending_revisions(config, found)), progress, archive
        )
        rebuild.prepare()
        lock_log()
        store_revision(connection, found)
        command.upgrade(config, NEWEST)
        filled = rebuild.finish()
        create_again(connection)  # Its tables are those of the read models, as they are now.
        return filled
    except (LogCorrupted, ReplayFailed) as damage:
        raise SchemaOutdated(
            f"the tables are of an older version of Quorate, and the log, from which they are "
            f"rebuilt, is corrupted: {damage}"
        ) from damage
    except (ArchiveCorrupted, ArchiveNeeded) as past:
        raise SchemaOutdated(
            f"the tables are of an older version of Quorate, and are rebuilt from the log: {past}"
        ) from past


def _config(connection: Connection) -> Config:
    config = Config()
    here = str(Path(__file__).parent).replace("%", "%%")  # Config interpolates percent signs.
    config.set_main_option("script_location", here)
    config.attributes["connection"] = connection
    return config


def _pending_revisions(config: Config, found: str) -> list[Script]:
    """Return the revisions after the one found."""
    return list(ScriptDirectory.from_config(config).iterate_revisions(NEWEST, found))


def _tables_to_fill(due: Sequence[Script]) -> list[Table]:
    """Return the current tables that these revisions leave to be filled from the log."""
    names = {name for script in due for name in script.module.FILLED}
    return [table for table in metadata.sorted_tables if table.name in names]
