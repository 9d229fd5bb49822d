"""Leader election among processes on one PostgreSQL, with a session-level advisory lock.

* The lock ends with its database session: at once when the process dies, and after
  SESSION_IDLE_SECONDS_MAX when it is frozen, because the server ends idle sessions.
* The leader sends a query every KEEPALIVE_SECONDS and resigns when one fails.
* A process can be frozen at any moment. For a short time there may be two leaders, so correctness
  must not depend on one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog

from quorate.eventlog.postgres.connection import CONNECTION_ERRORS
from quorate.eventlog.transactions import DatabaseUnavailable

KEEPALIVE_SECONDS = 1.0
RESPONSE_SECONDS_MAX = 1.0
SESSION_IDLE_SECONDS_MAX = 3
CANDIDATE_SECONDS = 0.5
SETTINGS = {"idle_session_timeout": f"{SESSION_IDLE_SECONDS_MAX}s"}
_logger = structlog.get_logger(__name__)


@asynccontextmanager
async def lead_with_lock(
    connect: Callable[[], Awaitable[asyncpg.Connection]], lock_key: str
) -> AsyncIterator[asyncio.Event]:
    """Wait to be elected; the event is set as soon as the leadership is not certain."""
    connection = await _acquire_lock(connect, lock_key)
    _logger.info("leader.elected")
    lost = asyncio.Event()
    keepalive = asyncio.create_task(_keep_session_alive(connection, lost), name="leadership")
    try:
        yield lost
    finally:
        keepalive.cancel()
        connection.terminate()
        _logger.info("leader.resigned")


async def _acquire_lock(connect: Callable[[], Awaitable[asyncpg.Connection]], lock_key: str) -> Any:  # noqa: ANN401
    while True:
        try:
            connection = await connect()
        except DatabaseUnavailable:
            await asyncio.sleep(CANDIDATE_SECONDS)
            continue
        try:
            acquired = False
            while not acquired:
                acquired = await connection.fetchval(f"SELECT pg_try_advisory_lock({lock_key})")
                await asyncio.sleep(0 if acquired else CANDIDATE_SECONDS)
        except CONNECTION_ERRORS:
            connection.terminate()
            await asyncio.sleep(CANDIDATE_SECONDS)
        except BaseException:
            connection.terminate()
            raise
        else:
            return connection


async def _keep_session_alive(connection: Any, lost: asyncio.Event) -> None:  # noqa: ANN401
    try:
        while True:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            async with asyncio.timeout(RESPONSE_SECONDS_MAX):
                await connection.execute("SELECT 1")
    except CONNECTION_ERRORS as error:
        _logger.warning("leader.lost", error=str(error) or type(error).__name__)
        lost.set()
