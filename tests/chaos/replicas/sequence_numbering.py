"""A faulty `quorate serve` that numbers events from a sequence and does not lock the log.

Tables are usually numbered this way. Concurrent transactions may commit in another order than their
numbers, and a reader that has seen the later number misses the earlier one. This program replaces
the real service, to prove that the replica tests detect the fault.
"""

import asyncio
import random
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from quorate.cli.main import main
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.postgres.connection import PostgresTransaction
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import Query

SECONDS_BEFORE_THE_COMMIT_MAX = 0.05


class _Numbers(Query):
    def __init__(self) -> None:
        self.sql = "SELECT nextval('numbers') FROM generate_series(1, $1)"
        self.parameters = ("count",)
        self._defaults = {}
        self.row = tuple


_append, _open = EventStore.append, PostgresDatabase.open


async def open_with_sequence(database: PostgresDatabase, schema: Any = None) -> None:  # noqa: ANN401
    await database.define(
        lambda connection, _: connection.execute(text("CREATE SEQUENCE IF NOT EXISTS numbers"))
    )
    await _open(database, schema)


def begin_without_lock(_: PostgresDatabase) -> str:
    return "BEGIN"


async def append(
    log: EventStore, transaction: PostgresTransaction, rows: list[RecordedEvent]
) -> None:
    numbers = [number for (number,) in await transaction.fetch(_Numbers(), {"count": len(rows)})]
    rows[:] = [
        replace(row, position=number, sequence=number)
        for row, number in zip(rows, numbers, strict=True)
    ]
    await asyncio.sleep(random.uniform(0.0, SECONDS_BEFORE_THE_COMMIT_MAX))
    await _append(log, transaction, rows)


async def find_nothing_wrong(_log: EventStore, *_: Any, **__: Any) -> None:  # noqa: ANN401
    pass


if __name__ == "__main__":
    PostgresDatabase.open = open_with_sequence  # type: ignore[method-assign, assignment]
    PostgresDatabase._begin = begin_without_lock  # type: ignore[method-assign, assignment]
    EventStore.append = append  # type: ignore[method-assign, assignment]
    EventStore.verify_range = find_nothing_wrong  # type: ignore[method-assign, assignment]
    main()
