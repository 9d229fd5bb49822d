"""One leader among the processes on one PostgreSQL: whoever holds a lock of the session.

The lock ends with its session: at once when the process dies, and after SESSION_IDLE_SECONDS_MAX
when it is frozen, because the server ends a session that does not give a sign of life. So nobody
who leads may believe it for longer than the last sign of life allows; and as a process can be
frozen at any moment, nothing may go wrong when two do believe it for an instant.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog

from quorate.eventlog.postgres.connection import CONNECTION_ERRORS
from quorate.eventlog.transactions import DatabaseUnavailable

SIGN_SECONDS = 1.0
ANSWER_SECONDS_MAX = 1.0
SESSION_IDLE_SECONDS_MAX = 3
CANDIDATE_SECONDS = 0.5
SETTINGS = {"idle_session_timeout": f"{SESSION_IDLE_SECONDS_MAX}s"}
_logger = structlog.get_logger(__name__)


@asynccontextmanager
async def elected(
    connect: Callable[[], Awaitable[asyncpg.Connection]], lock_key: str
) -> AsyncIterator[asyncio.Event]:
    """Wait until nobody else leads, and lead. The event is set as soon as that is not certain."""
    connection = await _won(connect, lock_key)
    _logger.info("leader.elected")
    lost = asyncio.Event()
    signs = asyncio.create_task(_give_signs(connection, lost), name="leadership")
    try:
        yield lost
    finally:
        signs.cancel()
        connection.terminate()
        _logger.info("leader.resigned")


async def _won(connect: Callable[[], Awaitable[asyncpg.Connection]], lock_key: str) -> Any:  # noqa: ANN401
    while True:
        try:
            connection = await connect()
        except DatabaseUnavailable:
            await asyncio.sleep(CANDIDATE_SECONDS)
            continue
        try:
            won = False
            while not won:
                won = await connection.fetchval(f"SELECT pg_try_advisory_lock({lock_key})")
                await asyncio.sleep(0 if won else CANDIDATE_SECONDS)
        except CONNECTION_ERRORS:
            connection.terminate()
            await asyncio.sleep(CANDIDATE_SECONDS)
        except BaseException:
            connection.terminate()
            raise
        else:
            return connection


async def _give_signs(connection: Any, lost: asyncio.Event) -> None:  # noqa: ANN401
    try:
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await connection.execute("SELECT 1")
    except CONNECTION_ERRORS as error:
        _logger.warning("leader.lost", error=str(error) or type(error).__name__)
        lost.set()
