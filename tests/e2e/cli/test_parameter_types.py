"""Durations and ranges of options."""

from math import nan

import click
import pytest

from quorate.cli.operations.fields import Number
from quorate.cli.parameter_types import Duration, IntegerRange, NumberRange, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("5min", 300),
        ("24h", 86_400),
        ("90d", 7_776_000),
        ("2w", 1_209_600),
        ("250ms", 0.25),
        ("1h30m", 5_400),
        ("1.5h", 5_400),
        (".5m", 30),
        ("5M", 300),
        ("30", None),
        ("", None),
        ("m", None),
        ("5 m", None),
        ("5x", None),
        ("-5m", None),
        ("5m3", None),
        ("\N{ARABIC-INDIC DIGIT FIVE}m", None),
    ],
)
def test_duration_is_parsed(text: str, seconds: float | None) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "minutes"), [("30", 30.0), ("0.5", 0.5), ("30s", 0.5), ("2h", 120.0), ("1s", 1 / 60)]
)
def test_plain_number_counts_the_unit_of_the_option(text: str, minutes: float) -> None:
    assert Duration("m", 1 / 60, 1_440).convert(text, None, None) == minutes


@pytest.mark.parametrize("text", ["0", "0s", "1441", "25h", "nan", "inf", "-1", "1e9"])
def test_duration_outside_of_the_bounds_is_rejected_with_the_bounds(text: str) -> None:
    with pytest.raises(click.BadParameter, match="outside the range 1 s to 24 h"):
        Duration("m", 1 / 60, 1_440).convert(text, None, None)


@pytest.mark.parametrize("text", ["soon", "", "5x", "1,5"])
def test_text_that_is_no_duration_is_rejected_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="30s, 5m or 24h"):
        Duration("m", 0, 10).convert(text, None, None)


def test_range_error_is_written_in_words() -> None:
    with pytest.raises(click.BadParameter, match="1 to 10"):
        IntegerRange(1, 10).convert(11, None, None)
    with pytest.raises(click.BadParameter, match="at least 1"):
        IntegerRange(1).convert(0, None, None)
    with pytest.raises(click.BadParameter, match="not a number"):
        NumberRange(0, 1).convert(nan, None, None)


def test_field_of_an_operation_takes_a_duration_if_it_has_a_unit() -> None:
    assert Number("m").convert("90s", None, None) == 1.5
    assert Number("m").convert("5", None, None) == 5
    with pytest.raises(click.BadParameter):
        Number().convert("90s", None, None)
