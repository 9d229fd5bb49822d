"""Cancel nested tasks whose parent ended without a result: a task of the leader.

* It follows the ends of tasks as they are committed. What it cancels is such an end, so it
  continues with the next level.
* Ends that it missed, before it was the leader or in an outage, are found by a search through all
  open nested tasks: at its start, after a failure and every CHECK_SECONDS.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from quorate.application.system_commands import SystemCommands
from quorate.domain.sessions.task_events import TaskCanceled, TaskFailed
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandFailed, Unavailable
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.sessions.nested_tasks import Cancellation, NestedTasks
from quorate.runtime.waking import is_woken_within

CHECK_SECONDS = 60.0
ENDED_TASKS_MAX = 1_000  # Noted at a time; further ones are left to the search.
_EVENTS = frozenset({TaskCanceled.__name__, TaskFailed.__name__})
_STREAM_PREFIX = "task-"
_logger = structlog.get_logger(__name__)


class NestedTaskCancellation:
    def __init__(
        self,
        command_bus: CommandBus,
        nested: NestedTasks,
        clock: Callable[[], Timestamp],
        new_id: NewId,
    ) -> None:
        self._system = SystemCommands(command_bus, clock, new_id)
        self._nested = nested
        self._woken = asyncio.Event()
        self._ended: dict[tuple[str, str], None] = {}  # Tenants, and ids of tasks.
        self._search_at = 0.0  # On the clock of the event loop.

    def wake(self, rows: Sequence[RecordedEvent]) -> None:
        """Be told of committed events."""
        for row in rows:
            if row.type in _EVENTS:
                self._note(row.tenant, row.stream.removeprefix(_STREAM_PREFIX))

    def _note(self, tenant: str, task_id: str) -> None:
        if len(self._ended) < ENDED_TASKS_MAX:
            self._ended[tenant, task_id] = None
        else:
            self._search_at = 0.0
        self._woken.set()

    async def run(self) -> None:
        """Cancel until cancelled."""
        self._search_at = 0.0
        time = asyncio.get_running_loop().time
        while True:
            self._woken.clear()
            try:
                await self.cancel_noted()
                if time() >= self._search_at:
                    self._search_at = time() + CHECK_SECONDS
                    await self.cancel_all()
            except (Unavailable, CommandFailed, DatabaseUnavailable) as error:
                self._search_at = 0.0
                _logger.warning("nested_task_cancellation.paused", reason=str(error))
            await is_woken_within(self._woken, CHECK_SECONDS)

    async def cancel_noted(self) -> None:
        """Cancel what is nested in the tasks whose end was committed since the last time."""
        ended, self._ended = list(self._ended), {}
        while ended and (found := await self._nested.find(ended)):
            await self._submit(found)

    async def cancel_all(self) -> None:
        """Cancel what is nested in any task that has ended without a result."""
        while found := await self._nested.search():
            await self._submit(found)

    async def _submit(self, found: Sequence[Cancellation]) -> None:
        for one in found:
            await self._system.submit(one.tenant, one.command)
