"""When schedules occur: cron in time zones against a naive implementation, and errors."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from typing import TypeAlias
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.domain.sessions.cron import next_cron
from quorate.domain.sessions.schedule_times import (
    EVERY_SECONDS_MIN,
    ScheduleInvalid,
    ScheduleTimes,
    parse_times,
)
from quorate.domain.shared.timestamps import MILLISECONDS_PER_MINUTE, Timestamp, instant, iso

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
ZONES = (BERLIN, NEW_YORK, LORD_HOWE)
YEAR_START = instant("2027-12-31T12:00:00Z")  # A leap year.
YEAR_END = instant("2029-01-01T12:00:00Z")


def occurrences(times: ScheduleTimes, start: Timestamp, end: Timestamp) -> Iterator[Timestamp]:
    at = times.next_after(start, start)
    while at is not None and at < end:
        yield at
        at = times.next_after(at, start)


def of_cron(expression: str, zone: str, start: str, end: str) -> list[str]:
    times = ScheduleTimes(cron=expression, timezone=zone)
    return [iso(one)[:16] for one in occurrences(times, instant(start), instant(end))]


# -- A naive implementation: every minute of a year ---------------------------


Found: TypeAlias = dict[tuple[int, int], list[tuple[Timestamp, datetime]]]


class Minutes:
    """All minutes of a year in one zone, by what the wall clock shows.

    ``shown``: a minute, and the date that it shows, with ``fold`` 1 where it is repeated.
    ``skipped``: the minute after a gap of the clock, and a minute that the clock skipped.
    """

    def __init__(self, zone: str) -> None:
        self.shown: Found = defaultdict(list)
        self.skipped: Found = defaultdict(list)
        info = ZoneInfo(zone)
        before: datetime | None = None
        for at in range(YEAR_START, YEAR_END, MILLISECONDS_PER_MINUTE):
            local = datetime.fromtimestamp(at / 1_000, info).replace(tzinfo=None)
            self.shown[local.hour, local.minute].append((Timestamp(at), local))
            missing = local if before is None else before + timedelta(minutes=1)
            while missing < local:
                self.skipped[missing.hour, missing.minute].append((Timestamp(at), missing))
                missing += timedelta(minutes=1)
            before = local

    def matching(self, expression: str) -> list[Timestamp]:
        fields = expression.split()
        minutes, hours, dates, months, weekdays = (
            _values(field, low, high)
            for field, (low, high) in zip(
                fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)), strict=True
            )
        )
        needs_both = fields[2].startswith("*") or fields[4].startswith("*")
        is_every_hour = fields[1] == "*"

        def is_day(wall: datetime) -> bool:
            by_weekday = bool({wall.isoweekday(), wall.isoweekday() % 7} & weekdays)
            found = (wall.day in dates, by_weekday)
            return wall.month in months and (all(found) if needs_both else any(found))

        found: set[Timestamp] = set()
        for clock in product(hours, minutes):
            of_clock = self.shown[clock]
            if not is_every_hour:
                of_clock = [one for one in of_clock if not one[1].fold] + self.skipped[clock]
            found |= {at for at, wall in of_clock if is_day(wall)}
        return sorted(found)


def _values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for term in field.split(","):
        base, _, step = term.partition("/")
        first, last = (low, high) if base == "*" else _range(base)
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


FIXED = (
    ("0 9 * * 1-5", BERLIN),
    ("30 2 * * *", BERLIN),
    ("30 2 * * *", NEW_YORK),
    ("*/20 2 20-31 3,10 *", BERLIN),
    ("15 2,3 * * *", LORD_HOWE),
    ("45 1 * * *", NEW_YORK),
    ("0 */2 20-31 3,10 *", BERLIN),
    ("0 * 20-31 3,10 *", LORD_HOWE),
    ("0 * 1-10 4 *", LORD_HOWE),
    ("0 0 29 2 *", NEW_YORK),
    ("59 23 31 * *", BERLIN),
    ("0 12 1-7 * 1", BERLIN),
)


def random_expression(rng: random.Random) -> str:
    minute = rng.choice(("0", "30", "*/30", "59", str(rng.randrange(60))))
    hour = rng.choice(("2", "3", "1-3", "0", str(rng.randrange(24))))
    day = rng.choice(("*", "1", "29-31", "*/10", str(rng.randint(1, 28))))
    month = rng.choice(("*", "2", "3,10", "3-4", "10-11"))
    weekday = rng.choice(("*", "*", "1-5", "0", "6,7"))
    return f"{minute} {hour} {day} {month} {weekday}"


def hundred_schedules() -> list[tuple[str, str]]:
    rng = random.Random(3)
    more = [(random_expression(rng), rng.choice(ZONES)) for _ in range(100 - len(FIXED))]
    return [*FIXED, *more]


def test_hundred_schedules_of_a_year_occur_as_a_naive_implementation_says() -> None:
    schedules = hundred_schedules()
    assert len(schedules) == 100
    minutes = {zone: Minutes(zone) for zone in {zone for _, zone in schedules}}
    total = 0
    for expression, zone in schedules:
        times = parse_times({"cron": expression, "timezone": zone})
        found = list(occurrences(times, Timestamp(YEAR_START - 1), YEAR_END))
        assert found == minutes[zone].matching(expression), (expression, zone)
        total += len(found)
    assert total > 5_000


# -- Daylight saving, leap days and month ends ---------------------------------


def test_time_that_the_clocks_skip_occurs_once_right_after_the_gap() -> None:
    found = of_cron("30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z")
    assert found == ["2026-03-29T01:00", "2026-03-30T00:30"]
    several = of_cron("*/10 2 * * *", BERLIN, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z")
    assert several == ["2026-03-29T01:00"]


def test_time_that_the_clocks_repeat_occurs_once() -> None:
    found = of_cron("30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z")
    assert found == ["2026-10-25T00:30", "2026-10-26T01:30"]
    inside = next_cron("40 2 * * *", BERLIN, instant("2026-10-25T01:10:00Z"))
    assert inside == instant("2026-10-26T01:40:00Z"), "02:10 is the second one"


def test_hours_pass_evenly_for_every_hour() -> None:
    for day in ("03-29", "10-25"):
        found = of_cron("0 * * * *", BERLIN, f"2026-{day}T00:00:00Z", f"2026-{day}T04:01:00Z")
        assert found == [f"2026-{day}T0{hour}:00" for hour in range(1, 5)]


def test_leap_days_and_month_ends() -> None:
    leap = of_cron("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2033-01-01T00:00:00Z")
    assert leap == ["2028-02-29T00:00", "2032-02-29T00:00"]
    ends = of_cron("0 0 31 * *", "UTC", "2026-01-01T00:00:00Z", "2026-08-01T00:00:00Z")
    assert [one[5:10] for one in ends] == ["01-31", "03-31", "05-31", "07-31"]
    last = of_cron("0 0 L * *", "UTC", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z")
    assert [one[5:10] for one in last] == ["01-31", "02-28"]


# -- Other schedules -----------------------------------------------------------


def test_distance_counts_from_the_creation() -> None:
    start = instant("2026-03-01T12:00:10Z")
    times = parse_times({"every_seconds": 300})
    found = list(occurrences(times, start, instant("2026-03-01T12:20:00Z")))
    assert [iso(one)[11:19] for one in found] == ["12:05:10", "12:10:10", "12:15:10"]


def test_one_time_occurs_once() -> None:
    times = parse_times({"at": "2026-03-01T13:00:00+01:00"})
    at = instant("2026-03-01T12:00:00Z")
    assert times.next_after(Timestamp(at - 1), Timestamp(0)) == at
    assert times.next_after(at, Timestamp(0)) is None


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(hundred_schedules()),
    st.integers(YEAR_START, YEAR_END),
    st.integers(0, 400 * 1_440),
)
def test_last_occurrence_before_a_time_is_the_last(
    schedule: tuple[str, str], start: int, minutes: int
) -> None:
    times = ScheduleTimes(cron=schedule[0], timezone=schedule[1])
    first = times.next_after(Timestamp(start), Timestamp(0))
    assert first is not None
    assert first > start
    assert first % MILLISECONDS_PER_MINUTE == 0, "at most once a minute"
    now = Timestamp(first + minutes * MILLISECONDS_PER_MINUTE)
    last = times.last_until(first, now, Timestamp(0))
    following = times.next_after(last, Timestamp(0))
    assert first <= last <= now
    assert following is None or following > now


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "an object"),
        ({}, "exactly one of"),
        ({"cron": "* * * * *", "every_seconds": 60}, "exactly one of"),
        ({"every_seconds": 60, "timezone": "UTC"}, "timezone does not go with every_seconds"),
        ({"cron": "* * * *"}, "five fields"),
        ({"cron": "* * * * * *"}, "five fields"),
        ({"cron": "@daily"}, "five fields"),
        ({"cron": "60 * * * *"}, "Bad minute"),
        ({"cron": "0 0 30 2 *"}, "Bad day-of-month"),
        ({"cron": "0 0 * * MON-ABC"}, "Bad day-of-week"),
        ({"cron": "0 9 * * *" + " " * 300}, "at most 200"),
        ({"cron": "\N{ARABIC-INDIC DIGIT ONE} 9 * * *"}, "ASCII"),
        ({"cron": 5}, "are texts"),
        ({"cron": "0 9 * * *", "timezone": "Mars/Base"}, "unknown time zone: Mars/Base"),
        ({"cron": "0 9 * * *", "timezone": "../../etc/passwd"}, "unknown time zone"),
        ({"cron": "0 9 * * *", "timezone": ""}, "unknown time zone"),
        ({"cron": "0 9 * * *", "timezone": "Europe"}, "unknown time zone"),
        ({"every_seconds": EVERY_SECONDS_MIN - 1}, f"from {EVERY_SECONDS_MIN}"),
        ({"every_seconds": True}, "a whole number"),
        ({"every_seconds": 90.5}, "a whole number"),
        ({"at": "tomorrow"}, "RFC 3339"),
        ({"at": "2026-03-01T12:00:00"}, "RFC 3339"),
    ],
)
def test_invalid_schedule_is_refused_with_the_reason(value: object, why: str) -> None:
    with pytest.raises(ScheduleInvalid) as caught:
        parse_times(value)
    assert why in caught.value.why
