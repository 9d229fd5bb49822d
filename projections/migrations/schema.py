"""The tables of today, made or checked before anything is asked of them.

* None are there: they are made at once, without the detour by all revisions.
* Older ones: an upgrade, all or nothing, where this process may do that; else they are refused.
* Newer ones are accepted: within a major version a revision only adds.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from quorate.domain.shared.records import record
from quorate.eventlog import tables as log_schema
from quorate.eventlog.database import SchemaOutdated
from quorate.projections import tables
from quorate.projections.migrations.revisions import (
    NEWEST,
    found_in,
    is_newer,
    needs_upgrade,
    number,
)

if TYPE_CHECKING:
    from quorate.projections.rebuild import Progress

_logger = structlog.get_logger(__name__)


@record
class Prepared:
    """What was found and what is there now; of an upgrade also how much the log had to give."""

    found: str | None
    revision: str
    events: int = 0
    rows: int = 0


def _quiet(_done: int, _of: int) -> None:
    pass


class CurrentSchema:
    """Those of the log and of the projections: the port ``Schema`` of the back ends.

    ``archive`` is the folder of the log's archived events, if an upgrade needs them.
    """

    def __init__(self, archive: Path | None = None) -> None:
        self._archive = archive

    def prepare(
        self, connection: Connection, lock_log: Callable[[], None], progress: "Progress" = _quiet
    ) -> Prepared:
        found = self._found(connection)
        if found is None:
            lock_log()
            create(connection)
            return Prepared(found=None, revision=NEWEST)
        if needs_upgrade(found):
            return self._upgraded(connection, found, lock_log, progress)
        number(connection, found)
        return Prepared(found=found, revision=found)

    def check(self, connection: Connection) -> None:
        found = self._found(connection)
        if found is None:
            raise SchemaOutdated("there are no tables yet")
        if needs_upgrade(found):
            raise SchemaOutdated(
                f"the tables are of an older version of Quorate ({found}, not {NEWEST})"
            )

    def _found(self, connection: Connection) -> str | None:
        return found_in(connection)

    def _upgraded(
        self,
        connection: Connection,
        found: str,
        lock_log: Callable[[], None],
        progress: "Progress",
    ) -> Prepared:
        from quorate.projections.migrations.upgrade import upgrade  # noqa: PLC0415 - with Alembic.

        filled = upgrade(connection, found, lock_log, progress, self._archive)
        return Prepared(found=found, revision=NEWEST, events=filled.events, rows=filled.rows)


class ServedTables(CurrentSchema):
    """For whoever serves: what is done, or accepted, is logged."""

    def prepare(
        self, connection: Connection, lock_log: Callable[[], None], progress: "Progress" = _quiet
    ) -> Prepared:
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


class OnlyTodaysTables(CurrentSchema):
    """For whoever makes tables anew: those of a newer version would lose what is new in them."""

    def _found(self, connection: Connection) -> str | None:
        found = super()._found(connection)
        if found is not None and is_newer(found):
            raise SchemaOutdated(
                f"the tables are of a newer version of Quorate ({found}, not {NEWEST}): use that"
            )
        return found


def create(connection: Connection) -> None:
    """Into a database, or a schema, that has none of our tables."""
    log_schema.metadata.create_all(connection)
    tables.metadata.create_all(connection)
    number(connection, NEWEST)


SCHEMA = ServedTables()
TODAYS = CurrentSchema()
ONLY_TODAYS = OnlyTodaysTables()
