"""Commit notifications between processes on one PostgreSQL, with LISTEN and NOTIFY.

* A NOTIFY inside the appending transaction would take a lock of the whole database at commit. It is
  sent afterwards on a separate connection, and one NOTIFY may cover several commits.
* A notification can get lost, so listeners also poll the log every second.
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
    """Sends and receives commit notifications; ``connect`` opens a dedicated connection."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], channel: str) -> None:
        self._connect = connect
        self._channel = channel
        self._pending = asyncio.Event()

    def notify_commit(self) -> None:
        self._pending.set()

    async def listen(self, on_commit: Callable[[], None]) -> NoReturn:
        """Call ``on_commit`` after commits of any process, and send own notifications."""
        while True:
            with suppress(DatabaseUnavailable, *CONNECTION_ERRORS):
                connection = await self._connect()
                try:
                    await connection.add_listener(self._channel, lambda *_: on_commit())
                    on_commit()  # For notifications that were missed while disconnected.
                    await self._send(connection)
                finally:
                    connection.terminate()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _send(self, connection: Any) -> NoReturn:  # noqa: ANN401 - asyncpg has no types.
        """Send notifications of own commits, and probe the connection every PROBE_SECONDS."""
        while True:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._pending.wait()
            except TimeoutError:
                await connection.execute("SELECT 1")
                continue
            self._pending.clear()
            await connection.execute("SELECT pg_notify($1, '')", self._channel)
