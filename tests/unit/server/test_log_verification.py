"""The verification of the log after a start says how far it is, and whether it ended."""

from collections.abc import Callable
from typing import Any

import pytest

from quorate.eventlog.event_store import LogCorrupted
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.server.log_checks import LogVerification

PAGES = (1_000, 1_000, 500)


class _Log:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def committed_head(self) -> int:
        return sum(PAGES)

    async def verify_range(
        self, after: int, until: int, *, pause_seconds: float, progress: Callable[[int], None]
    ) -> None:
        assert (after, until) == (0, sum(PAGES))
        assert pause_seconds > 0
        for read in PAGES:
            progress(read)
            if self._error is not None:
                raise self._error


class _CommandBus:
    damage = ""

    def stop_writing(self, damage: str) -> None:
        self.damage = damage


async def verified(error: Exception | None = None) -> tuple[LogVerification, _CommandBus]:
    log: Any = _Log(error)
    bus: Any = _CommandBus()
    verification = LogVerification(log, bus)
    assert (verification.events, verification.ended_at_seconds) == (0, 0)
    await verification.run()
    return verification, bus


async def test_verification_that_ended_has_counted_all_events() -> None:
    verification, bus = await verified()

    assert verification.events == sum(PAGES)
    assert verification.ended_at_seconds > 0
    assert not bus.damage


@pytest.mark.parametrize("error", [LogCorrupted("a hash"), DatabaseUnavailable("closed")])
async def test_verification_that_failed_has_no_end(error: Exception) -> None:
    verification, bus = await verified(error)

    assert verification.events == PAGES[0]
    assert verification.ended_at_seconds == 0
    assert bool(bus.damage) == isinstance(error, LogCorrupted)


async def test_corrupted_log_is_not_verified_again() -> None:
    log: Any = _Log()
    bus: Any = _CommandBus()
    bus.damage = "known"
    verification = LogVerification(log, bus)

    await verification.run()

    assert (verification.events, verification.ended_at_seconds) == (0, 0)
