"""The event loop of a blocking agent."""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from quorate.client.process_guard import ProcessGuard

T = TypeVar("T")


class LoopThread:
    """An event loop that runs in a daemon thread."""

    def __init__(self) -> None:
        self._process = ProcessGuard()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="quorate.client", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result.

        An interruption of the caller (such as KeyboardInterrupt) cancels the coroutine. Raises
        RuntimeError when the agent has disconnected, and ForkedError in a child of its process.
        """
        if self.is_forked:
            work.close()
            self._process.check()
        if self.is_stopped:
            work.close()
            raise RuntimeError("The agent has disconnected")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[[], object]) -> None:
        """Have the loop call a function soon. A loop that has stopped calls nothing."""
        if not self.is_stopped:
            with suppress(RuntimeError):  # It is closed meanwhile.
                self._loop.call_soon_threadsafe(function)

    @property
    def is_stopped(self) -> bool:
        """Whether the loop has stopped. At interpreter exit the daemon thread stops too.

        A child process has no copy of the thread.
        """
        return self.is_forked or self._loop.is_closed() or sys.is_finalizing()

    @property
    def is_forked(self) -> bool:
        return self._process.is_forked

    def close(self) -> None:
        if self.is_stopped:
            return
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
