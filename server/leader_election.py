"""Run the tasks of the leader: exactly one of the processes that share a database.

* The leader relays committed events and records due expirations. When leadership ends (the process
  dies, hangs or loses the database), its tasks are cancelled here and another process starts them.
* Correctness does not depend on a single leader. The mirror accepts each position once, consumers
  deduplicate notifications by id, and due events are decided under the lock of the log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

import structlog

from quorate.eventlog.database import Database
from quorate.runtime.tasks import cancel_and_wait

RETRY_SECONDS = 0.5
Task = Callable[[], Awaitable[None]]
_logger = structlog.get_logger(__name__)


class LeaderTasks:
    """Starts the tasks when this process becomes the leader, and cancels them when it resigns."""

    def __init__(self, database: Database, tasks: Mapping[str, Task]) -> None:
        self._database = database
        self._tasks = tasks
        self._running: asyncio.Task[None] | None = None
        self.is_leader = False

    def start(self) -> None:
        """Become a candidate."""
        self._running = asyncio.create_task(self.run(), name="leader")

    async def stop(self) -> None:
        if self._running is not None:
            await cancel_and_wait([self._running])

    async def run(self) -> NoReturn:
        """Run for leadership until cancelled."""
        while True:
            async with self._database.lead() as ended:
                await self._lead(ended)
            await asyncio.sleep(RETRY_SECONDS)

    async def _lead(self, ended: asyncio.Event) -> None:
        running = [
            asyncio.ensure_future(self._forever(name, task)) for name, task in self._tasks.items()
        ]
        self.is_leader = True
        try:
            await ended.wait()
        finally:
            self.is_leader = False
            await cancel_and_wait(running)

    async def _forever(self, name: str, task: Task) -> None:
        """Restart a task that fails, so that a bug does not stop it or the other tasks."""
        while True:
            try:
                await task()
            except Exception:
                _logger.exception("leader.task_failed", task=name)
            await asyncio.sleep(RETRY_SECONDS)
