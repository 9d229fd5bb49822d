"""One clock for all processes that share a log: that of the database, corrected by agreement.

The database has only a wall clock, which may be set. The correction is a row of the table
``clock_corrections``: at the reading ``wall`` of the database's clock, the log had the time ``at``.
A process changes it in a transaction that holds the log's lock, so all processes decide by the same
time:

* The clock was set back: time continues from the last recorded event, or from the clock of the
  process, and then runs by a tenth slower until the database's clock has caught up.
* The clock jumped ahead: time continues, and follows when the jump has lasted for a minute.

A process uses its own clock only while it agrees with that of the database from one measurement to
the next, so a process whose clock is wrong changes nothing.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import Select, delete, insert, select

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import clock_corrections
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.runtime.clock import (
    CONFIRM_NANOSECONDS,
    NANOSECONDS_PER_MILLISECOND,
    SLOWER,
    STEP_NANOSECONDS_MAX,
    MonotonicClock,
)

STEP_MAX = STEP_NANOSECONDS_MAX // NANOSECONDS_PER_MILLISECOND
CONFIRM = CONFIRM_NANOSECONDS // NANOSECONDS_PER_MILLISECOND
_logger = structlog.get_logger(__name__)


@record
class Correction:
    """When the database's clock showed ``wall``, the log had the time ``at``."""

    wall: int
    at: int


@record
class Reading:
    """The database's clock in milliseconds, and the correction that all processes agreed on."""

    wall: int
    correction: Correction | None

    @property
    def time(self) -> int:
        """The time of the log."""
        return corrected(self.wall, self.correction)


def corrected(wall: int, correction: Correction | None) -> int:
    """Return the time of the log for a reading of the database's clock."""
    if correction is None:
        return wall
    passed = wall - correction.wall
    if correction.at <= correction.wall:
        return correction.at + passed
    return max(wall, correction.at + passed - passed // SLOWER)


def select_reading(wall: Any) -> Select[Any]:  # noqa: ANN401 - a column expression.
    """Return the query for a reading; ``wall`` is the database's clock in milliseconds."""
    columns = clock_corrections.c
    return select(
        wall.label("now"),
        select(columns.wall).scalar_subquery().label("corrected_wall"),
        select(columns.at).scalar_subquery().label("corrected_at"),
    )


def reading_from_row(row: Any) -> Reading:  # noqa: ANN401 - of ``select_reading``.
    correction = (
        Correction(wall=row.corrected_wall, at=row.corrected_at)
        if row.corrected_wall is not None
        else None
    )
    return Reading(wall=row.now, correction=correction)


class SharedClock:
    """Decides the time of a transaction, and with it corrections for all processes."""

    def __init__(self, clock: MonotonicClock) -> None:
        self._clock = clock
        self._seen: Correction | None = None
        self._held_since: int | None = None

    def decide(self, reading: Reading, last: Timestamp) -> tuple[Timestamp, Correction | None]:
        """Return the time of a transaction, and the correction after it.

        ``last`` is the time of the last recorded event.
        """
        correction, now = reading.correction, reading.time
        is_new = correction != self._seen  # Another process decided it.
        own = max(self._clock(), last) if self._clock.is_trusted else None
        if own is not None:
            correction = self._compare(reading, own, is_new=is_new)
            now = corrected(reading.wall, correction)
        if now < last - STEP_MAX:
            now, correction = last, Correction(wall=reading.wall, at=last)
        elif correction is not None and now == reading.wall:
            correction = None  # The database's clock has caught up.
        if correction != reading.correction:
            _log(reading, now)
        self._seen = correction
        self._clock.advance_to(Timestamp(now))
        return Timestamp(max(now, last)), correction

    def _compare(self, reading: Reading, own: int, *, is_new: bool) -> Correction | None:
        """Return the correction after comparing the database's clock with that of the process."""
        here = Correction(wall=reading.wall, at=own)
        correction, now = reading.correction, reading.time
        is_held = correction is not None and correction.at < correction.wall
        if is_held and reading.wall <= own + STEP_MAX:
            return None  # The jump ahead was set back.
        if is_held and self._has_lasted(own):
            return None
        if not is_held:
            self._held_since = None
        if now < own - STEP_MAX:
            return here
        if now > own + STEP_MAX and not is_new:
            return here
        return correction

    def _has_lasted(self, own: int) -> bool:
        if self._held_since is None:
            self._held_since = own
        return own - self._held_since >= CONFIRM


def _log(reading: Reading, now: int) -> None:
    _logger.warning(
        "clock.corrected",
        database_ahead_seconds=(reading.wall - reading.time) / 1_000,
        log_ahead_seconds=(now - reading.wall) / 1_000,
    )


class CorrectionStore:
    """Reads the database's clock with the correction, and writes the correction."""

    def __init__(self, database: Database) -> None:
        time = database.shared_time
        self._reading = None if time is None else Query(time, database.dialect)
        self._delete = Query(delete(clock_corrections), database.dialect)
        self._insert = Query(insert(clock_corrections), database.dialect)

    def lookups(self, readings: list[Reading]) -> Sequence[Lookup]:
        """Return the lookup that fills ``readings``; none for a database of one process."""

        def take(rows: Sequence[Any]) -> None:
            readings.extend(map(reading_from_row, rows))

        return [Lookup(query=self._reading, values={}, take=take)] if self._reading else []

    async def save(self, transaction: DatabaseTransaction, correction: Correction | None) -> None:
        none: Sequence[Any] = ()
        await transaction.write(self._delete, [none])
        if correction is not None:
            await transaction.write(self._insert, [(1, correction.wall, correction.at)])
