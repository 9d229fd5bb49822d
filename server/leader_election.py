"""What one process does for all that share a database, and what becomes of it when it can't.

Whoever leads relays what was committed and records what fell due. When leading ends (the process
dies, hangs, or loses the database) both are stopped here, and another process begins them anew.
Nothing depends on there being one leader: the mirror takes each position once, a notification said twice
is the same notification, and what is due is decided under the log's lock.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

import structlog

from quorate.eventlog.database import Database
from quorate.runtime.tasks import end

AGAIN_SECONDS = 0.5
Work = Callable[[], Awaitable[None]]
_logger = structlog.get_logger(__name__)


class LeaderTasks:
    """``work`` by name: each is begun when this process leads, and cancelled when that ends."""

    def __init__(self, backend: Database, work: Mapping[str, Work]) -> None:
        self._backend = backend
        self._work = work
        self._running: asyncio.Task[None] | None = None
        self.leads = False

    def start(self) -> None:
        """Be a candidate from now on."""
        self._running = asyncio.create_task(self.run(), name="leader")

    async def stop(self) -> None:
        if self._running is not None:
            await end([self._running])

    async def run(self) -> NoReturn:
        """Ends by being cancelled."""
        while True:
            async with self._backend.lead() as over:
                await self._lead(over)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _lead(self, over: asyncio.Event) -> None:
        tasks = [
            asyncio.ensure_future(self._forever(name, work)) for name, work in self._work.items()
        ]
        self.leads = True
        try:
            await over.wait()
        finally:
            self.leads = False
            await end(tasks)

    async def _forever(self, name: str, work: Work) -> None:
        """A bug in one piece of work must not end it for good, nor the other one."""
        while True:
            try:
                await work()
            except Exception:
                _logger.exception("leader.work_failed", work=name)
            await asyncio.sleep(AGAIN_SECONDS)
