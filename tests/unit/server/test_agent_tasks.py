"""Old names are removed only with a retention, and other heartbeat windows are reported."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from quorate.domain.identity.agent_departures import ForgetAgent
from quorate.domain.shared.timestamps import MILLISECONDS_PER_HOUR, Timestamp
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.projections.agent_overviews import InactiveAgent
from quorate.server.agent_tasks import (
    CHECKS_BETWEEN_WARNINGS,
    AgentRetention,
    WindowComparison,
)

NOW = Timestamp(100 * MILLISECONDS_PER_HOUR)


class Overviews:
    """Returns prepared results, and notes what was asked."""

    def __init__(self) -> None:
        self.inactive: list[Sequence[str]] = []
        self.asked: list[Timestamp] = []
        self.windows: Mapping[int, int] = {}

    async def find_inactive(self, before: Timestamp) -> Sequence[InactiveAgent]:
        self.asked.append(before)
        names = self.inactive.pop(0)
        return [
            InactiveAgent(tenant="acme", command=ForgetAgent(agent_id=name, inactive_since=before))
            for name in names
        ]

    async def count_other_windows(self, _window: int) -> Mapping[int, int]:
        return self.windows


class Bus:
    def __init__(self) -> None:
        self.submitted: list[CommandEnvelope] = []

    async def submit(self, envelope: CommandEnvelope) -> None:
        self.submitted.append(envelope)


async def test_names_older_than_the_retention_are_removed_one_after_the_other() -> None:
    overviews, bus = Overviews(), Bus()
    overviews.inactive = [["agent_ann", "agent_bob"], []]
    create: Any = AgentRetention
    retention = create(bus, overviews, lambda: NOW, lambda _at: "id", retention_hours=24)

    assert await retention.remove_old()
    assert not await retention.remove_old()

    day_before = Timestamp(NOW - 24 * MILLISECONDS_PER_HOUR)
    assert overviews.asked == [day_before, day_before]
    commands: list[Any] = [one.command for one in bus.submitted]
    assert [(one.agent_id, one.inactive_since) for one in commands] == [
        ("agent_ann", day_before),
        ("agent_bob", day_before),
    ]


@pytest.mark.parametrize("windows", [{10_000: 2}, {10_000: 2, 20_000: 1}])
async def test_other_windows_are_reported_when_they_appear_and_then_seldom(
    windows: dict[int, int],
) -> None:
    overviews: Any = Overviews()
    comparison = WindowComparison(overviews, window_seconds=300.0)
    with capture_logs() as logs:
        await comparison.check()
        assert logs == []
        overviews.windows = windows
        for _ in range(CHECKS_BETWEEN_WARNINGS):
            await comparison.check()
        assert [one["other_window_seconds"] for one in logs] == [one / 1_000 for one in windows]
        assert {one["log_level"] for one in logs} == {"warning"}
        for _ in range(CHECKS_BETWEEN_WARNINGS):
            await comparison.check()
        assert len(logs) == 2 * len(windows)
        overviews.windows = {}
        for _ in range(CHECKS_BETWEEN_WARNINGS + 2):
            await comparison.check()
        assert len(logs) == 2 * len(windows)
