"""`quorate serve` with one thing wrong: numbers come from a sequence, and nobody holds the log.

That is how tables are numbered as a rule. Two that write at once may commit in another order than
they took their numbers in, and whoever has read up to the later one never looks back. Started in
the place of the real service, to prove that the tests of this folder would notice.
"""

import asyncio
import random
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from quorate.cli.main import main
from quorate.eventlog.log import EventLog
from quorate.eventlog.postgres import PostgresBackend
from quorate.eventlog.postgres_connection import PostgresSession
from quorate.eventlog.recorded import Recorded
from quorate.eventlog.session import Query

SECONDS_BEFORE_THE_COMMIT_MAX = 0.05


class _Numbers(Query):
    def __init__(self) -> None:
        self.sql = "SELECT nextval('numbers') FROM generate_series(1, $1)"
        self.parameters = ("count",)
        self._defaults = {}
        self.row = tuple


_append, _open = EventLog.append, PostgresBackend.open


async def open_with_sequence(backend: PostgresBackend, schema: Any = None) -> None:  # noqa: ANN401
    await backend.define(
        lambda connection, _: connection.execute(text("CREATE SEQUENCE IF NOT EXISTS numbers"))
    )
    await _open(backend, schema)


def begin_without_lock(_: PostgresBackend) -> str:
    return "BEGIN"


async def append(log: EventLog, session: PostgresSession, rows: list[Recorded]) -> None:
    numbers = [number for (number,) in await session.fetch(_Numbers(), {"count": len(rows)})]
    rows[:] = [
        replace(row, position=number, sequence=number)
        for row, number in zip(rows, numbers, strict=True)
    ]
    await asyncio.sleep(random.uniform(0.0, SECONDS_BEFORE_THE_COMMIT_MAX))
    await _append(log, session, rows)


async def find_nothing_wrong(_log: EventLog, *_: Any, **__: Any) -> None:  # noqa: ANN401
    pass


if __name__ == "__main__":
    PostgresBackend.open = open_with_sequence  # type: ignore[method-assign, assignment]
    PostgresBackend._begin = begin_without_lock  # type: ignore[method-assign, assignment]
    EventLog.append = append  # type: ignore[method-assign, assignment]
    EventLog.check_range = find_nothing_wrong  # type: ignore[method-assign, assignment]
    main()
