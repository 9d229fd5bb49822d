"""Records what fell due while nobody asked: lapses, expiries and timeouts.

The timer decides nothing. It finds by index what is overdue and hands the door a command about
each; the door records whatever is due about the things a command names, as it does for everybody.

After a long outage much is due. It is handed over in parts, so that others' commands come between.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import structlog

from quorate.domain.identity.api_keys import SYSTEM_ACTOR
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandEnvelope, CommandFailed, Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.deadlines import DueAggregates, Overdue

TICK_SECONDS = 0.25
PRUNE_EVERY_TICKS = 240
EVENTS_AT_ONCE_MAX = 2_000
_logger = structlog.get_logger(__name__)


class DeadlineScheduler:
    def __init__(
        self, door: CommandBus, work: DueAggregates, clock: Callable[[], Timestamp], new_id: NewId
    ) -> None:
        self._door = door
        self._work = work
        self._clock = clock
        self._new_id = new_id
        self._waits = False
        self._first: Sequence[Overdue] = ()

    async def run(self) -> None:
        """Look, and look again; ends by being cancelled."""
        ticks = 0
        while True:
            if not await self._settled_some():
                await asyncio.sleep(TICK_SECONDS)
                ticks += 1
                if ticks % PRUNE_EVERY_TICKS == 0:
                    self._door.prune_answers()

    async def _settled_some(self) -> bool:
        """Settle what is overdue now; False when there was nothing, or it has to wait: what comes
        first again after it was handed over is not due yet by the log's own time.
        """
        try:
            overdue = await self._work.find(self._clock())
            first, self._first = self._first, overdue[:1]
            for part in parts(overdue):
                await asyncio.gather(*(self._door.submit(self._order(one)) for one in part))
        except (Unavailable, CommandFailed, DatabaseUnavailable) as error:
            if not self._waits:  # Said once, however long it lasts.
                _logger.warning("timer.waits", why=str(error))
            self._waits = True
            return False
        self._waits = False
        return bool(overdue) and overdue[:1] != first

    def _order(self, overdue: Overdue) -> CommandEnvelope:
        return CommandEnvelope(
            tenant=overdue.tenant,
            actor=SYSTEM_ACTOR,
            command_id=self._new_id(self._clock()),
            command=overdue.command,
            render=lambda _: b"",
            urgent=True,
        )


def parts(overdue: Sequence[Overdue]) -> Iterator[Sequence[Overdue]]:
    """In their order, of no more than EVENTS_AT_ONCE_MAX events each, or of a single command."""
    part: list[Overdue] = []
    events = 0
    for one in overdue:
        if part and events + one.events > EVENTS_AT_ONCE_MAX:
            yield part
            part, events = [], 0
        part.append(one)
        events += one.events
    if part:
        yield part
