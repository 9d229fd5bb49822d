"""Maintenance work of the writer task: small transactions between two batches of commands."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import structlog

from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import DatabaseTransaction, DatabaseUnavailable

# Its author limits how long it holds the lock of the log: commands wait for it.
Chore: TypeAlias = Callable[[DatabaseTransaction], Awaitable[Any]]
_logger = structlog.get_logger(__name__)


class Chores:
    """The work that waits; each has a transaction of its own."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Chore, asyncio.Future[Any]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, chore: Chore) -> asyncio.Future[Any]:
        """Return a future of what the chore returns or raises; it ends with the commit."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((chore, done))
        return done

    async def run_next(self, log: EventStore) -> bool:
        """Run one; return False if the connection must be opened again."""
        chore, done = self._waiting.popleft()
        if done.done():  # Its caller waits no more.
            return True
        try:
            async with log.write() as transaction:
                result = await chore(transaction)
        except DatabaseUnavailable as error:
            _logger.warning("log.chore_failed", error=str(error))
            _fail(done, error)
            return False
        except asyncio.CancelledError:
            done.cancel()
            raise
        except Exception as error:  # A bug in the chore must not end the writer.
            _logger.exception("log.chore_failed")
            _fail(done, error)
        else:
            if not done.done():
                done.set_result(result)
        return True

    def reject(self) -> None:
        """Reject what waits: the log is closed or read-only."""
        while self._waiting:
            _, done = self._waiting.popleft()
            _fail(done, Unavailable("The log cannot be written now"))


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
