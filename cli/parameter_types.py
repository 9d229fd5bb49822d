"""Types of options: durations and numbers, with readable bounds in the help and in errors."""

import os
import re
from collections.abc import Mapping
from typing import Any

import click

from quorate.cli.output.console import format_seconds
from quorate.runtime.service_defaults import LIMIT_MAX

WORKERS_MAX = 64
SEQUENCE_MAX = 2**53 - 1  # As in contracts/wire_models.py, whose import would take too long.
SECONDS_PER_UNIT: Mapping[str, float] = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3_600,
    "d": 86_400,
    "w": 604_800,
}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ms|min|[smhdw])"
_DURATION = re.compile(rf"(?:{_PART})+", re.ASCII)
_PARTS = re.compile(_PART, re.ASCII)


def parse_seconds(text: str) -> float | None:
    """Return the seconds of a duration such as ``30s``, ``5m``, ``24h`` or ``1h30m``."""
    compact = text.strip().lower()
    if not _DURATION.fullmatch(compact):
        return None
    return sum(float(number) * SECONDS_PER_UNIT[unit] for number, unit in _PARTS.findall(compact))


class Duration(click.ParamType[float]):
    """A duration such as ``30s``, ``5m`` or ``24h``; a plain number counts ``unit``.

    The value is a number of ``unit``, and so are the bounds.
    """

    name = "duration"

    def __init__(self, unit: str, minimum: float, maximum: float) -> None:
        self._unit_seconds = SECONDS_PER_UNIT[unit]
        self._minimum = minimum
        self._maximum = maximum

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        seconds = parse_seconds(str(value))
        if seconds is not None:
            amount = seconds / self._unit_seconds
        else:
            amount = self._plain_number(value, param, ctx)
        if not self._minimum <= amount <= self._maximum:  # NaN is rejected too.
            lowest, highest = (self._format(one) for one in (self._minimum, self._maximum))
            self.fail(f"{value} is outside the range {lowest} to {highest}.", param, ctx)
        return amount

    def _plain_number(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a duration such as 30s, 5m or 24h.", param, ctx)

    def _format(self, amount: float) -> str:
        return format_seconds(amount * self._unit_seconds)


class IntegerRange(click.IntRange):
    """A whole number; bounds are written as ``1 to 10000``."""

    name = "integer"

    def _describe_range(self) -> str:
        return describe_range(self.min, self.max)


class NumberRange(click.FloatRange):
    """A number; bounds are written as ``0 to 1``. NaN is rejected."""

    name = "number"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's own signature.
        number = super().convert(value, param, ctx)
        if number != number:  # noqa: PLR0124 - only NaN differs from itself.
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number

    def _describe_range(self) -> str:
        return describe_range(self.min, self.max)


def describe_range(minimum: float | None, maximum: float | None) -> str:
    """Describe bounds in words; a maximum that only guards against mistakes is left out."""
    if minimum is not None and maximum is not None and maximum < LIMIT_MAX:
        return f"{minimum:.12g} to {maximum:.12g}"
    if minimum is not None:
        return f"at least {minimum:.12g}" if minimum else ""
    return "" if maximum is None else f"at most {maximum:.12g}"


class WorkerCount(IntegerRange):
    """A number of processes, or ``auto``: one less than this process may use cores."""

    name = "integer|auto"

    def __init__(self) -> None:
        super().__init__(1, WORKERS_MAX)

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        if value == "auto":
            return max(1, min(count_cores() - 1, WORKERS_MAX))
        return int(super().convert(value, param, ctx))


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
