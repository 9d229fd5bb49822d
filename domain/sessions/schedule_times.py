"""When a schedule occurs: by a cron expression, at a fixed distance, or once.

``next_after`` is strictly increasing, so an occurrence that was fired is never reached again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.domain.sessions.cron import CronInvalid, check_cron, check_timezone, next_cron
from quorate.domain.shared.errors import Invalid
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import (
    MILLISECONDS_PER_MINUTE,
    MILLISECONDS_PER_SECOND,
    Timestamp,
    instant,
    iso,
)

EVERY_SECONDS_MIN, EVERY_SECONDS_MAX = 60, 366 * 86_400
TIMEZONE_DEFAULT = "UTC"


@dataclass(eq=False)
class ScheduleInvalid(Invalid):
    code, title = "schedule_invalid", "Invalid schedule"
    detail = "invalid schedule: {why}"
    why: str


@record
class ScheduleTimes:
    """One of ``cron``, ``every_seconds`` and ``at`` is set."""

    cron: str | None = None
    timezone: str = TIMEZONE_DEFAULT
    every_seconds: int | None = None
    at: Timestamp | None = None

    def next_after(self, after: Timestamp, start: Timestamp) -> Timestamp | None:
        """Return the first occurrence after a time; ``start`` is when the schedule was created."""
        if self.at is not None:
            return self.at if self.at > after else None
        if self.every_seconds is not None:
            step = self.every_seconds * MILLISECONDS_PER_SECOND
            return Timestamp(start + max(1, (after - start) // step + 1) * step)
        assert self.cron is not None
        return next_cron(self.cron, self.timezone, after)

    def last_until(self, first: Timestamp, now: Timestamp, start: Timestamp) -> Timestamp:
        """Return the last occurrence that is not after ``now``; ``first`` is one of them.

        A search by halves: a schedule may have missed very many occurrences.
        """
        found, low, high = first, first, now
        while high - low >= 1:
            middle = Timestamp((low + high) // 2)
            at = self.next_after(middle, start)
            if at is not None and at <= now:
                found = low = at
            else:
                high = middle
        return found

    def to_json(self) -> dict[str, Any]:
        if self.at is not None:
            return {"at": iso(self.at)}
        if self.every_seconds is not None:
            return {"every_seconds": self.every_seconds}
        return {"cron": self.cron, "timezone": self.timezone}


def parse_times(value: object) -> ScheduleTimes:
    """Return the times in JSON; raise ScheduleInvalid with the reason."""
    if not isinstance(value, Mapping):
        raise ScheduleInvalid("an object with cron, every_seconds or at is required")
    kinds = [name for name in ("cron", "every_seconds", "at") if value.get(name) is not None]
    if len(kinds) != 1:
        raise ScheduleInvalid("exactly one of cron, every_seconds and at is required")
    (kind,) = kinds
    allowed = {kind, "timezone"} if kind == "cron" else {kind}
    if unknown := sorted(str(one) for one in value.keys() - allowed):
        raise ScheduleInvalid(f"{unknown[0]} does not go with {kind}")
    match kind:
        case "cron":
            return _cron(value["cron"], value.get("timezone"))
        case "every_seconds":
            return _every(value["every_seconds"])
        case _:
            return _at(value["at"])


def _cron(expression: object, timezone: object) -> ScheduleTimes:
    zone = TIMEZONE_DEFAULT if timezone is None else timezone
    if not isinstance(expression, str) or not isinstance(zone, str):
        raise ScheduleInvalid("cron and timezone are texts")
    try:
        check_timezone(zone)
        check_cron(expression)
    except CronInvalid as error:
        raise ScheduleInvalid(str(error)) from None
    return ScheduleTimes(cron=expression, timezone=zone)


def _every(seconds: object) -> ScheduleTimes:
    is_number = isinstance(seconds, int) and not isinstance(seconds, bool)
    if not is_number or not EVERY_SECONDS_MIN <= seconds <= EVERY_SECONDS_MAX:  # type: ignore[operator]
        raise ScheduleInvalid(
            f"every_seconds is a whole number from {EVERY_SECONDS_MIN} to {EVERY_SECONDS_MAX}"
        )
    return ScheduleTimes(every_seconds=seconds)  # type: ignore[arg-type]


def _at(text: object) -> ScheduleTimes:
    try:
        at = instant(text) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        at = None
    if at is None or at < MILLISECONDS_PER_MINUTE:
        raise ScheduleInvalid("at is a time of RFC 3339 such as 2026-03-01T12:00:00Z")
    return ScheduleTimes(at=at)
