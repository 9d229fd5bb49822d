"""How processes on one PostgreSQL tell each other that something was committed.

A NOTIFY inside the transaction that appends would take a lock of the whole database at commit. It
is sent afterwards, on a connection of its own, and one stands for all that were asked for
meanwhile. It may be lost: whoever listens looks every second as well.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn

import asyncpg
import structlog

from quorate.eventlog.postgres.connection import CONNECTION_ERRORS
from quorate.eventlog.transactions import DatabaseUnavailable

RECONNECT_SECONDS = 0.5
PROBE_SECONDS = 5.0
_logger = structlog.get_logger(__name__)


class CommitNotifier:
    """``connect`` gives a connection that nobody else uses."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], channel: str) -> None:
        self._connect = connect
        self._channel = channel
        self._rung = asyncio.Event()

    def notify_commit(self) -> None:
        self._rung.set()

    async def listen(self, heard: Callable[[], None]) -> NoReturn:
        """Call ``heard`` whenever somebody rang; ends by being cancelled."""
        while True:
            with suppress(DatabaseUnavailable, *CONNECTION_ERRORS):
                connection = await self._connect()
                try:
                    await connection.add_listener(self._channel, lambda *_: heard())
                    heard()  # What was rung for while nobody listened.
                    await self._pass_on(connection)
                finally:
                    connection.terminate()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _pass_on(self, connection: Any) -> NoReturn:  # noqa: ANN401 - asyncpg has no types.
        """Ring for our own commits; and find out now and then that the connection is dead."""
        while True:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._rung.wait()
            except TimeoutError:
                await connection.execute("SELECT 1")
                continue
            self._rung.clear()
            await connection.execute("SELECT pg_notify($1, '')", self._channel)
