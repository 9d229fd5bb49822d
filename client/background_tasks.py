"""Tasks that go on beside the caller's: none raises into the loop, none is left behind."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

END_SECONDS_MAX = 3.0
END_ATTEMPTS_MAX = 6

log = logging.getLogger("quorate.client")


Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """The tasks of one agent or one feed, ended together."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Work, name: str) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(_safely(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, tasks: "set[asyncio.Task[None]]", seconds: float) -> None:
        """Wait for some to end by themselves, for so long."""
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def end(self) -> None:
        """Cancel what still runs, and wait until it is gone.

        More than once: a ``wait_for`` that is about to end may swallow a cancellation.
        """
        for _ in range(END_ATTEMPTS_MAX):
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            await self.finish(tasks, END_SECONDS_MAX / END_ATTEMPTS_MAX)


async def _safely(work: Work, name: str) -> None:
    try:
        await work()
    except Exception:
        log.exception("%s failed", name)
