"""An outage is one warning, then at most one a minute, and its end is logged."""

import logging
from collections.abc import Iterator

import pytest

from quorate.client.outages import REPEAT_SECONDS, Outage


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outage(clock: Clock, caplog: pytest.LogCaptureFixture) -> Iterator[Outage]:
    with caplog.at_level(logging.INFO, "quorate.client"):
        yield Outage("The heartbeat", clock=clock)


def test_first_failure_is_a_warning_and_repetitions_are_not(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        outage.record_failure("no answer")

    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == (
        "WARNING",
        "The heartbeat failed and will be retried: no answer",
    )


def test_long_outage_is_repeated_once_a_minute(
    outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        outage.record_failure("no answer")
        clock.now += REPEAT_SECONDS / 4

    assert [line.levelname for line in caplog.records] == ["WARNING"] * 3
    assert "has failed 5 times in 60 s" in caplog.messages[1]


def test_end_is_logged_once(outage: Outage, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    outage.record_success()
    outage.record_failure("no answer")
    clock.now += 7
    outage.record_success()
    outage.record_success()
    outage.record_failure("no answer")

    assert [line.levelname for line in caplog.records] == ["WARNING", "INFO", "WARNING"]
    assert caplog.messages[1] == "The heartbeat works again after 7 s"
