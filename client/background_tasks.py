"""Background tasks of an agent or feed.

A task that fails is logged and raises nothing into the event loop. All tasks end with their owner.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

CANCEL_SECONDS_MAX = 3.0
CANCEL_ATTEMPTS_MAX = 6

logger = logging.getLogger("quorate.client")

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class BackgroundTasks:
    """The tasks of one agent or one feed, which are cancelled together."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Work, name: str) -> "asyncio.Task[None]":
        """Start a task; ``name`` is the subject of the log message if it fails."""
        task = asyncio.get_running_loop().create_task(_log_failure(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def wait(self, tasks: "set[asyncio.Task[None]]", seconds: float) -> None:
        """Wait for the end of some tasks, for at most ``seconds``. Does not cancel them."""
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def cancel_all(self) -> None:
        """Cancel all tasks and wait for their end, for at most CANCEL_SECONDS_MAX.

        Cancels repeatedly: a ``wait_for`` that is about to end may swallow a cancellation.
        """
        for _ in range(CANCEL_ATTEMPTS_MAX):
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            await self.wait(tasks, CANCEL_SECONDS_MAX / CANCEL_ATTEMPTS_MAX)


async def _log_failure(work: Work, name: str) -> None:
    try:
        await work()
    except Exception:
        logger.exception("The background task %r failed", name)
