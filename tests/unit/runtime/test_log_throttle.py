"""What anybody can cause a thousand times a second is one line, with how often it was."""

import structlog

from quorate.runtime.log_throttle import PAUSE_SECONDS, ThrottledWarning


def test_the_log_is_told_once_and_then_how_often() -> None:
    now = 100.0
    seldom = ThrottledWarning("it_happened", monotonic=lambda: now)

    with structlog.testing.capture_logs() as lines:
        for number in range(1_000):
            seldom.say(number=number)
        now += PAUSE_SECONDS
        seldom.say(number=1_000)

    assert [(line["times"], line["number"]) for line in lines] == [(1, 0), (1_000, 1_000)]
