"""Close the connections of keys when they expire; no event is recorded at that time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, TypeAlias

import structlog

from quorate.bus.auth.connections import ConnectedKeys

EXPIRY_CHECK_SECONDS = 0.5

# Returns the ids of the keys that have expired since the last call.
FindExpiredKeys: TypeAlias = Callable[[], Awaitable[Sequence[str]]]

log = structlog.get_logger(__name__)


async def close_expired_keys(find_expired: FindExpiredKeys, connections: ConnectedKeys) -> NoReturn:
    """Run until cancelled. While the database does not respond, the keys are found later."""
    while True:
        await asyncio.sleep(EXPIRY_CHECK_SECONDS)
        try:
            expired = await find_expired()
        except Exception:
            log.exception("nats.expiry_check_failed")
            continue
        if expired:
            await connections.disconnect(*expired)
