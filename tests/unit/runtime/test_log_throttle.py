"""A warning that repeats a thousand times per second is one log line with its count."""

import structlog

from quorate.runtime.log_throttle import PAUSE_SECONDS, ThrottledWarning


def test_throttled_warning_logs_one_line_per_pause_with_the_count() -> None:
    now = 100.0
    warning = ThrottledWarning("it_happened", monotonic=lambda: now)

    with structlog.testing.capture_logs() as lines:
        for number in range(1_000):
            warning.warn(number=number)
        now += PAUSE_SECONDS
        warning.warn(number=1_000)

    assert [(line["times"], line["number"]) for line in lines] == [(1, 0), (1_000, 1_000)]
