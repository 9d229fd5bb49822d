"""Create, upgrade or check the tables when a database is opened.

* No tables: the current ones are created directly, without running the revisions.
* Older tables: they are upgraded in one transaction if this process may do that, else rejected.
* Newer tables of a shared database are accepted, during an upgrade of its replicas: within a major
  version a revision only adds. Those of a local file are refused, unless the operator allows it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection, insert

from quorate.domain.shared.records import record
from quorate.eventlog import tables as log_schema
from quorate.eventlog.database import SchemaOutdated
from quorate.eventlog.ids import new_log_id
from quorate.projections import tables
from quorate.projections.history.refill import create as create_history
from quorate.projections.migrations.revisions import (
    NEWEST,
    find_revision,
    is_newer,
    needs_upgrade,
    store_revision,
)

if TYPE_CHECKING:
    from quorate.projections.rebuild import Progress

_logger = structlog.get_logger(__name__)


@record
class PreparedSchema:
    """The revision found and the revision now; after an upgrade also how much was replayed."""

    found: str | None
    revision: str
    events: int = 0
    rows: int = 0


def _quiet(_done: int, _of: int) -> None:
    pass


class CurrentSchema:
    """The tables of the log and of the projections: implements the port ``Schema`` of databases.

    ``archive`` is the directory of archived events, if an upgrade needs them.
    """

    def __init__(self, archive: Path | None = None) -> None:
        self._archive = archive

    def prepare(
        self, connection: Connection, lock_log: Callable[[], None], progress: "Progress" = _quiet
    ) -> PreparedSchema:
        found = self._found(connection)
        if found is None:
            lock_log()
            create(connection)
            return PreparedSchema(found=None, revision=NEWEST)
        if needs_upgrade(found):
            return self._upgrade(connection, found, lock_log, progress)
        store_revision(connection, found)
        return PreparedSchema(found=found, revision=found)

    def check(self, connection: Connection) -> None:
        found = self._found(connection)
        if found is None:
            raise SchemaOutdated("there are no tables yet")
        if needs_upgrade(found):
            raise SchemaOutdated(
                f"the tables are of an older version of Quorate ({found}, not {NEWEST})"
            )

    def _found(self, connection: Connection) -> str | None:
        return find_revision(connection)

    def _upgrade(
        self,
        connection: Connection,
        found: str,
        lock_log: Callable[[], None],
        progress: "Progress",
    ) -> PreparedSchema:
        from quorate.projections.migrations.upgrade import upgrade  # noqa: PLC0415 - with Alembic.

        filled = upgrade(connection, found, lock_log, progress, self._archive)
        return PreparedSchema(found=found, revision=NEWEST, events=filled.events, rows=filled.rows)


class ServerSchema(CurrentSchema):
    """For servers: upgrades, and tables of another version, are logged."""

    def __init__(self, *, allow_newer: bool = False) -> None:
        super().__init__()
        self._allow_newer = allow_newer

    def prepare(
        self, connection: Connection, lock_log: Callable[[], None], progress: "Progress" = _quiet
    ) -> PreparedSchema:
        """Raise SchemaOutdated for newer tables, unless they are allowed.

        This version does not maintain what they have in addition, so the newer version would find
        it incomplete.
        """
        found = find_revision(connection)
        if found is not None and is_newer(found) and not self._allow_newer:
            raise SchemaOutdated(
                f"the tables are of a newer version of Quorate ({found}, not {NEWEST}): start that"
                " version, or restore a backup of this one; --allow-newer-schema starts anyway,"
                " and `quorate rebuild` of the newer version is needed after that"
            )
        prepared = super().prepare(connection, lock_log, progress)
        if prepared.found not in {None, prepared.revision}:
            _logger.info(
                "schema.upgraded",
                found=prepared.found,
                to=prepared.revision,
                events=prepared.events,
                rows=prepared.rows,
            )
        return prepared

    def _found(self, connection: Connection) -> str | None:
        found = super()._found(connection)
        if found is not None and is_newer(found):
            _logger.warning("schema.newer", found=found, known=NEWEST)
        elif found is not None and needs_upgrade(found):
            _logger.info("schema.older", found=found, known=NEWEST)
        return found


class CurrentSchemaOnly(CurrentSchema):
    """For rebuilds: reject tables of a newer version, which would lose their new columns."""

    def _found(self, connection: Connection) -> str | None:
        found = super()._found(connection)
        if found is not None and is_newer(found):
            raise SchemaOutdated(
                f"the tables are of a newer version of Quorate ({found}, not {NEWEST}): use that"
            )
        return found


def create(connection: Connection) -> None:
    """Create all tables in a database, or a database schema, without tables of Quorate."""
    log_schema.metadata.create_all(connection)
    tables.metadata.create_all(connection)
    create_history(connection)
    connection.execute(insert(log_schema.identity).values(id=new_log_id()))
    store_revision(connection, NEWEST)


SCHEMA = ServerSchema()
CURRENT_SCHEMA = CurrentSchema()
CURRENT_SCHEMA_ONLY = CurrentSchemaOnly()
