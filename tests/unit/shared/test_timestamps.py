"""Timestamps are whole milliseconds in UTC, written in one format and read with any offset."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from quorate.domain.shared.timestamps import Timestamp, instant, iso, later, of
from tests.unit.support.specification import NOON

FIRST = of(datetime(1970, 1, 1, tzinfo=UTC))
LAST = of(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
instants = st.integers(FIRST, LAST).map(Timestamp)


def test_timestamp_is_written_with_milliseconds_and_z() -> None:
    assert iso(Timestamp(0)) == "1970-01-01T00:00:00.000Z"
    assert iso(Timestamp(NOON + 7)) == "2026-03-01T12:00:00.007Z"


@for_all(instants)
def test_written_text_is_read_back(at: Timestamp) -> None:
    assert instant(iso(at)) == at


@for_all(instants, instants)
def test_texts_sort_like_timestamps(one: Timestamp, other: Timestamp) -> None:
    assert (iso(one) < iso(other)) == (one < other)


@for_all(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001 - the strategy takes bounds without a zone.
def test_iso_agrees_with_the_standard_library(moment: datetime) -> None:
    cut = moment - timedelta(microseconds=moment.microsecond % 1_000)

    assert instant(moment.isoformat()) == of(moment) == of(cut)
    assert datetime.fromisoformat(iso(of(moment))) == cut


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00.0Z",
        "2026-03-01T12:00:00.000999Z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T07:30:00.000-04:30",
        "2026-03-01 12:00:00Z",
    ],
)
def test_other_formats_of_noon_are_read(text: str) -> None:
    assert instant(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "1772366400000",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.000",
        "2026-02-30T12:00:00.000Z",
        "2026-03-01T25:00:00.000Z",
        "2026-03-01T12:00:00.1_2Z",
        "2026-03-01T12:00:00.+12Z",
        "2026-03-01T12:00:00.-12Z",
        "2026-03-01T12:00:00. 12Z",
        "2026-03-01T12:00:00.\u0660\u0660\u0660Z",
        "2026-03-01T12:00:00.000Z ",
        "2026-03-01T12:00:00.000Z\n",
    ],
)
def test_invalid_time_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        instant(text)


def test_time_without_an_offset_is_rejected() -> None:
    with pytest.raises(ValueError, match="offset"):
        of(datetime(2026, 3, 1, 12))  # noqa: DTZ001 - this is rejected.


def test_offset_is_applied() -> None:
    summer = timezone(timedelta(hours=2))

    assert of(datetime(2026, 3, 1, 14, tzinfo=summer)) == NOON


@pytest.mark.parametrize(
    ("minutes", "milliseconds"),
    [(0, 0), (30, 1_800_000), (0.5, 30_000), (1 / 60, 1_000), (1 / 3, 20_000), (1440, 86_400_000)],
)
def test_minutes_are_rounded_to_milliseconds(minutes: float, milliseconds: int) -> None:
    assert later(NOON, minutes=minutes) == NOON + milliseconds
