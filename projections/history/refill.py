"""Empty the history, so that the service fills it again from the log.

* The history is derived from the log. The follower (``server/history_follower.py``) fills it in the
  background, and requests of the past wait for it or are answered with 503.
* Archived events are no longer in the log. If there are any, the history begins with the present
  rows of the read models, and earlier moments are a gap.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Select,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
)

from quorate.eventlog.database import Database
from quorate.eventlog.tables import archives, events
from quorate.eventlog.transactions import DatabaseTransaction, Definition
from quorate.projections.history.nodes import OPEN
from quorate.projections.history.statistics import store_statistics
from quorate.projections.history.tables import (
    HISTORY,
    PROGRESS_ID,
    VERSION_COLUMNS,
    metadata,
    progress,
)

_HEAD = select(func.coalesce(func.max(events.c.position), literal_column("0"))).scalar_subquery()
_IS_ARCHIVED = exists(select(archives.c.last_position))


def _first_versions(table: Any, history: Any) -> Insert:  # noqa: ANN401 - tables.
    """Copy the present rows, if the events before them are archived."""
    open_: ColumnElement[int] = literal_column(str(OPEN))
    false: ColumnElement[bool] = literal_column("false")
    rows = select(*table.columns, _HEAD, open_, open_, false).where(_IS_ARCHIVED)
    names = [*(column.name for column in table.columns), *VERSION_COLUMNS]
    return insert(history).from_select(names, rows)


def _first_progress() -> Insert:
    position = case((_IS_ARCHIVED, _HEAD), else_=literal_column("0"))
    row: Select[Any] = select(literal_column(str(PROGRESS_ID)), position, position)
    return insert(progress).from_select([column.name for column in progress.columns], row)


# The caller holds the lock of the log.
REFILL: Sequence[Delete | Insert] = (
    *(delete(table) for table in metadata.sorted_tables),
    *(_first_versions(table, history) for table, history in HISTORY.items()),
    _first_progress(),
)


def refill(connection: Connection) -> None:
    for statement in REFILL:
        connection.execute(statement)


class Refill:
    """Empties the history in a transaction of the writer."""

    def __init__(self, database: Database) -> None:
        self._dialect = database.dialect

    async def run(self, transaction: DatabaseTransaction) -> None:
        for statement in REFILL:
            await transaction.fetch(Definition(statement, self._dialect), {})


def create(connection: Connection) -> None:
    """Create the tables of the history of an empty log."""
    metadata.create_all(connection)
    begin(connection)


def begin(connection: Connection) -> None:
    """Store the rows that the history of an empty log has."""
    store_statistics(connection)
    connection.execute(insert(progress).values(id=PROGRESS_ID, position=0, first_position=0))


def create_again(connection: Connection) -> None:
    """Create the tables of the history as the read models are now, and empty them."""
    metadata.drop_all(connection)
    metadata.create_all(connection)
    store_statistics(connection)
    refill(connection)
