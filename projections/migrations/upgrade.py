"""Older tables made those of today, in the transaction of whoever asks."""

from collections.abc import Callable, Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Table

from quorate.eventlog.archive.files import ArchiveCorrupted, ArchiveNeeded
from quorate.eventlog.database import SchemaOutdated
from quorate.eventlog.event_store import LogCorrupted
from quorate.projections.migrations.revisions import NEWEST, number
from quorate.projections.online_rebuild import Filling
from quorate.projections.rebuild import Progress, Rebuilt
from quorate.projections.replay import ReplayFailed
from quorate.projections.tables import metadata


def upgrade(
    connection: Connection,
    found: str,
    lock_log: Callable[[], None],
    progress: Progress,
    archive: Path | None = None,
) -> Rebuilt:
    """From the revision that was found to the newest; raises Outdated when the log is damaged, or
    a part of it that is needed is not in ``archive``.
    """
    config = _config(connection)
    try:
        filling = Filling(connection, _filled(_due(config, found)), progress, archive)
        filling.prepare()
        lock_log()
        number(connection, found)
        command.upgrade(config, NEWEST)
        return filling.finish()
    except (LogCorrupted, ReplayFailed) as damage:
        raise SchemaOutdated(
            f"the tables are of an older version of Quorate, and the log, from which they are "
            f"made anew, is damaged: {damage}"
        ) from damage
    except (ArchiveCorrupted, ArchiveNeeded) as past:
        raise SchemaOutdated(
            f"the tables are of an older version of Quorate, and are made anew from the log: {past}"
        ) from past


def _config(connection: Connection) -> Config:
    config = Config()
    here = str(Path(__file__).parent).replace("%", "%%")  # It would be interpolated.
    config.set_main_option("script_location", here)
    config.attributes["connection"] = connection
    return config


def _due(config: Config, found: str) -> list[Script]:
    """The revisions after the one that was found."""
    return list(ScriptDirectory.from_config(config).iterate_revisions(NEWEST, found))


def _filled(due: Sequence[Script]) -> list[Table]:
    """What they leave to be filled from the log, as it is called today."""
    names = {name for script in due for name in script.module.FILLED}
    return [table for table in metadata.sorted_tables if table.name in names]
