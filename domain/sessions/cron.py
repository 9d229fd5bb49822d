"""Cron expressions in a time zone. The library ``cronsim`` parses them and steps through them.

* Five fields, as in cron of Debian. A schedule occurs at most once a minute.
* With ``*`` as the hour, time passes evenly: daylight saving changes nothing, and a repeated hour
  is another hour. Every other hour is one of the wall clock: a time that the clocks skip occurs
  once, right after the gap; a time that they repeat occurs once, the first time.
* The occurrences after a time depend on it alone. What the time zone database says is part of the
  events that are recorded, so a replay needs neither.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp, of

CRON_LENGTH_MAX = 200
TIMEZONE_LENGTH_MAX = 64
_FIELDS = 5
_START = datetime(2026, 1, 1, tzinfo=UTC)


class CronInvalid(ValueError):
    """The message says which part is wrong."""


def check_timezone(name: str) -> None:
    """Raise CronInvalid for a name that is not in the time zone database."""
    _zone(name)


def check_cron(expression: str) -> None:
    """Raise CronInvalid for an expression that cannot be read, or that never occurs."""
    _next(expression, _START)


def next_cron(expression: str, timezone: str, after: Timestamp) -> Timestamp | None:
    """Return the first occurrence after a time, or None if there is none in 50 years."""
    start = datetime.fromtimestamp(after / MILLISECONDS_PER_SECOND, _zone(timezone))
    for occurrence in _occurrences(expression, start):
        # In a repeated hour the library continues with the wall clock, which may be earlier.
        if (at := of(occurrence)) > after:
            return at
    return None


def _zone(name: str) -> ZoneInfo:
    shown = name[:TIMEZONE_LENGTH_MAX]
    if shown != name:
        raise CronInvalid(f"unknown time zone: {shown}")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CronInvalid(f"unknown time zone: {shown}") from None


def _next(expression: str, start: datetime) -> datetime:
    for occurrence in _occurrences(expression, start):
        return occurrence
    raise CronInvalid("it never occurs")


def _occurrences(expression: str, start: datetime) -> Iterator[datetime]:
    if len(expression) > CRON_LENGTH_MAX or not expression.isascii():
        raise CronInvalid(f"at most {CRON_LENGTH_MAX} ASCII characters are allowed")
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise CronInvalid("five fields are required: minute hour day month weekday")
    if fields[1] != "*":  # A wall-clock time: the library decides so by the absence of ``*``.
        fields[0] = _without_star(fields[0], 59)
        fields[1] = _without_star(fields[1], 23)
    try:
        return CronSim(" ".join(fields), start)
    except (CronSimError, ValueError, AssertionError, TypeError) as error:
        raise CronInvalid(str(error)) from None


def _without_star(field: str, last: int) -> str:
    terms = field.split(",")
    return ",".join(f"0-{last}{term[1:]}" if term.startswith("*") else term for term in terms)
