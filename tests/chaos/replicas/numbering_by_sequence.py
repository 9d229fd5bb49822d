"""`quorate serve` with one thing wrong: numbers come from a sequence, and nobody holds the log.

That is how tables are numbered as a rule. Two that write at once may commit in another order than
they took their numbers in, and whoever has read up to the later one never looks back. Started in
the place of the real service, to prove that the tests of this folder would notification.
"""

import asyncio
import random
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from quorate.cli.main import main
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.postgres.connection import PostgresSession
from quorate.eventlog.postgres.database import PostgresBackend
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import Query

SECONDS_BEFORE_THE_COMMIT_MAX = 0.05


class _Numbers(Query):
    def __init__(self) -> None:
        self.sql = "SELECT nextval('numbers') FROM generate_series(1, $1)"
        self.parameters = ("count",)
        self._defaults = {}
        self.row = tuple


_append, _open = EventStore.append, PostgresBackend.open


async def open_with_sequence(backend: PostgresBackend, schema: Any = None) -> None:  # noqa: ANN401
    await backend.define(
        lambda connection, _: connection.execute(text("CREATE SEQUENCE IF NOT EXISTS numbers"))
    )
    await _open(backend, schema)


def begin_without_lock(_: PostgresBackend) -> str:
    return "BEGIN"


async def append(log: EventStore, session: PostgresSession, rows: list[RecordedEvent]) -> None:
    numbers = [number for (number,) in await session.fetch(_Numbers(), {"count": len(rows)})]
    rows[:] = [
        replace(row, position=number, sequence=number)
        for row, number in zip(rows, numbers, strict=True)
    ]
    await asyncio.sleep(random.uniform(0.0, SECONDS_BEFORE_THE_COMMIT_MAX))
    await _append(log, session, rows)


async def find_nothing_wrong(_log: EventStore, *_: Any, **__: Any) -> None:  # noqa: ANN401
    pass


if __name__ == "__main__":
    PostgresBackend.open = open_with_sequence  # type: ignore[method-assign, assignment]
    PostgresBackend._begin = begin_without_lock  # type: ignore[method-assign, assignment]
    EventStore.append = append  # type: ignore[method-assign, assignment]
    EventStore.check_range = find_nothing_wrong  # type: ignore[method-assign, assignment]
    main()
