"""Tasks about agents: remove names that were inactive for long, and compare heartbeat windows.

* Names are removed only if the operator sets a retention. Names with an API key stay.
* Each replica warns about active agents with another heartbeat window than its own: another replica
  has other options, or they registered before the option was changed.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from quorate.application.system_commands import SystemCommands
from quorate.domain.shared.timestamps import (
    MILLISECONDS_PER_HOUR,
    MILLISECONDS_PER_SECOND,
    Timestamp,
)
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandFailed, Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.agent_overviews import AgentOverviews

CHECK_SECONDS = 60.0
CHECKS_BETWEEN_WARNINGS = 60  # The same finding is logged again after this many checks.
_logger = structlog.get_logger(__name__)


class AgentRetention:
    """Removes the names of agents that were inactive for longer than the retention."""

    def __init__(
        self,
        command_bus: CommandBus,
        overviews: AgentOverviews,
        clock: Callable[[], Timestamp],
        new_id: NewId,
        *,
        retention_hours: float,
    ) -> None:
        self._system = SystemCommands(command_bus, clock, new_id)
        self._overviews = overviews
        self._clock = clock
        self._retention = round(retention_hours * MILLISECONDS_PER_HOUR)

    async def run(self) -> None:
        """Remove old names until cancelled. Without a retention, only wait."""
        while True:
            if self._retention:
                try:
                    while await self.remove_old():
                        pass
                except (Unavailable, CommandFailed, DatabaseUnavailable) as error:
                    _logger.warning("agent_retention.paused", reason=str(error))
            await asyncio.sleep(CHECK_SECONDS)

    async def remove_old(self) -> bool:
        """Remove some names; return whether there may be more."""
        found = await self._overviews.find_inactive(Timestamp(self._clock() - self._retention))
        for one in found:  # One after the other: commands of callers run in between.
            await self._system.submit(one.tenant, one.command)
        if found:
            _logger.info("agents.removed", agents=len(found))
        return bool(found)


class WindowComparison:
    """Warns when active agents have another heartbeat window than this replica gives."""

    def __init__(self, overviews: AgentOverviews, *, window_seconds: float) -> None:
        self._overviews = overviews
        self._window = round(window_seconds * MILLISECONDS_PER_SECOND)
        self._last: Mapping[int, int] = {}
        self._checks = 0

    async def run(self) -> None:
        """Check at the start, then every CHECK_SECONDS until cancelled."""
        while True:
            try:
                await self.check()
            except DatabaseUnavailable as error:
                _logger.debug("heartbeat_windows.not_compared", reason=str(error))
            await asyncio.sleep(CHECK_SECONDS)

    async def check(self) -> None:
        found = await self._overviews.count_other_windows(self._window)
        is_new = found.keys() != self._last.keys() or self._checks >= CHECKS_BETWEEN_WARNINGS
        self._last, self._checks = found, 0 if is_new else self._checks + 1
        if not is_new:
            return
        for window, agents in found.items():
            _logger.warning(
                "heartbeat_windows.differ",
                heartbeat_window_seconds=self._window / MILLISECONDS_PER_SECOND,
                other_window_seconds=window / MILLISECONDS_PER_SECOND,
                agents=agents,
                advice="Give all replicas the same --heartbeat-window-seconds. "
                "Agents keep the window of their registration until they register again.",
            )
