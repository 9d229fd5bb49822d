"""Record expirations and timeouts that became due without a request.

* The scheduler decides nothing. It finds overdue aggregates by index and submits a command for
  each. For every command, the command bus records what is due for the aggregates of the command.
* After a long outage many events are due. They are submitted in parts, so that commands of clients
  run in between.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import structlog

from quorate.application.system_commands import SystemCommands
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandFailed, Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.deadlines import DueAggregates, OverdueInstance

TICK_SECONDS = 0.25
PRUNE_EVERY_TICKS = 240
PART_EVENTS_MAX = 2_000
_logger = structlog.get_logger(__name__)


class DeadlineScheduler:
    def __init__(
        self,
        command_bus: CommandBus,
        due: DueAggregates,
        clock: Callable[[], Timestamp],
        new_id: NewId,
    ) -> None:
        self._command_bus = command_bus
        self._system = SystemCommands(command_bus, clock, new_id)
        self._due = due
        self._clock = clock
        self._is_paused = False
        self._first: Sequence[OverdueInstance] = ()

    async def run(self) -> None:
        """Search for due aggregates until cancelled."""
        ticks = 0
        while True:
            if not await self._submit_due():
                await asyncio.sleep(TICK_SECONDS)
                ticks += 1
                if ticks % PRUNE_EVERY_TICKS == 0:
                    self._command_bus.prune_answers()

    async def _submit_due(self) -> bool:
        """Submit commands for overdue aggregates; return whether to search again at once.

        Return False if none is overdue, or if they must wait. An aggregate that is found first in
        two searches is not due yet by the time of the log.
        """
        try:
            overdue = await self._due.find(self._clock())
            first, self._first = self._first, overdue[:1]
            for part in split_into_parts(overdue):
                await asyncio.gather(
                    *(self._system.submit(one.tenant, one.command, urgent=True) for one in part)
                )
        except (Unavailable, CommandFailed, DatabaseUnavailable) as error:
            if not self._is_paused:  # Logged once per outage.
                _logger.warning("deadline_scheduler.paused", reason=str(error))
            self._is_paused = True
            return False
        self._is_paused = False
        return bool(overdue) and overdue[:1] != first


def split_into_parts(overdue: Sequence[OverdueInstance]) -> Iterator[Sequence[OverdueInstance]]:
    """Split in order into parts of at most EVENTS_AT_ONCE_MAX events, or of a single command."""
    part: list[OverdueInstance] = []
    events = 0
    for one in overdue:
        if part and events + one.events > PART_EVENTS_MAX:
            yield part
            part, events = [], 0
        part.append(one)
        events += one.events
    if part:
        yield part
