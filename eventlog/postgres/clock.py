"""The clock of the PostgreSQL server; the clocks of its clients may differ by minutes."""

from typing import Any

from sqlalchemy import BigInteger, Select, literal_column
from sqlalchemy.engine import Dialect

from quorate.eventlog.shared_clock import Reading, corrected, reading_from_row, select_reading
from quorate.eventlog.transactions import DatabaseTransaction, Query
from quorate.runtime.clock import NANOSECONDS_PER_MILLISECOND, Nanoseconds, steady_ns

MEASUREMENTS_MAX = 5
QUICK_NANOSECONDS = 10_000_000
_MILLISECONDS = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
# Not the transaction's start time: the transaction may have waited for the log's lock since.
READING: Select[Any] = select_reading(literal_column(_MILLISECONDS, BigInteger))


class _Now(Query):
    """Selects the server's current time in nanoseconds, not the transaction's start time."""

    def __init__(self) -> None:
        self.sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000"
        self.parameters = ()
        self._defaults = {}
        self.row = tuple


_NOW = _Now()


async def measure_clock(
    transaction: DatabaseTransaction, dialect: Dialect
) -> tuple[Nanoseconds, int]:
    """Return the clock of the log, and its lead over that of the server in nanoseconds."""
    measured: list[tuple[int, int]] = []  # Round trip time, and offset of the server's clock.
    await transaction.fetch(_NOW, {})  # Begins, so that later queries are one round trip.
    while len(measured) < MEASUREMENTS_MAX:
        before = steady_ns()
        ((now,),) = await transaction.fetch(_NOW, {})
        duration = steady_ns() - before
        measured.append((duration, int(now) - before - duration // 2))
        if duration <= QUICK_NANOSECONDS:
            break
    (row,) = await transaction.fetch(Query(READING, dialect), {})
    _, offset = min(measured)  # The shortest: a process may be delayed for seconds.
    return _corrected_clock(reading_from_row(row), offset)


def _corrected_clock(found: Reading, offset: int) -> tuple[Nanoseconds, int]:
    lead = (found.time - found.wall) * NANOSECONDS_PER_MILLISECOND
    if found.correction is None:
        return lambda: steady_ns() + offset, lead

    def now() -> int:
        wall, rest = divmod(steady_ns() + offset, NANOSECONDS_PER_MILLISECOND)
        return corrected(wall, found.correction) * NANOSECONDS_PER_MILLISECOND + rest

    return now, lead
