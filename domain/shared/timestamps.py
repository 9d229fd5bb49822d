"""Timestamps: whole milliseconds since 1970 in UTC. Callers pass the time; rules read no clock."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NewType

Timestamp = NewType("Timestamp", int)

MILLISECONDS_PER_SECOND = 1_000
MILLISECONDS_PER_MINUTE = 60_000
MILLISECONDS_PER_HOUR = 3_600_000
MILLISECONDS_PER_DAY = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_WIDTH = len("2026-03-01T12:00:00")
_ISO_WIDTH = len("2026-03-01T12:00:00.000Z")


def iso(at: Timestamp) -> str:
    """Write a timestamp as ``2026-03-01T12:00:00.000Z`` (RFC 3339, always milliseconds)."""
    seconds, milliseconds = divmod(at, MILLISECONDS_PER_SECOND)
    return f"{_iso_second(seconds)}.{milliseconds:03d}Z"


def instant(text: str) -> Timestamp:
    """Read what ``iso`` wrote, or any RFC 3339 time; sub-millisecond digits are cut.

    Raises ValueError for anything else, a time without its offset included.
    """
    if len(text) == _ISO_WIDTH and text[-1] == "Z" and text[_SECOND_WIDTH] == ".":
        milliseconds = text[_SECOND_WIDTH + 1 : -1]
        if milliseconds.isascii() and milliseconds.isdigit():
            return Timestamp(_second_iso(text[:_SECOND_WIDTH]) + int(milliseconds))
    return of(datetime.fromisoformat(text))


def of(moment: datetime) -> Timestamp:
    """Return the timestamp of an aware datetime."""
    if moment.tzinfo is None:
        message = f"a time needs its offset: {moment.isoformat()}"
        raise ValueError(message)
    return Timestamp((moment - _EPOCH) // timedelta(milliseconds=1))


def later(at: Timestamp, *, minutes: float) -> Timestamp:
    """Return the time ``minutes`` after ``at``, rounded to the millisecond."""
    return Timestamp(at + round(minutes * MILLISECONDS_PER_MINUTE))


@lru_cache(maxsize=4096)
def _iso_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def _second_iso(text: str) -> int:
    return of(datetime.fromisoformat(text + "Z"))
