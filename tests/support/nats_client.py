"""nats-py's client, whose ``flush`` and ``close`` keep what they promise."""

import asyncio
from contextlib import suppress
from typing import Any

from nats.aio import client as nats_py


class Client(nats_py.Client):
    async def flush(self, timeout: int = 10) -> None:  # noqa: ASYNC109 - nats-py's own signature.
        """Return when the server has dealt with all that was sent.

        nats-py's question overtakes what still waits to be sent; a second one, asked when the
        first was answered, comes after it.
        """
        for _ in range(2):
            await super().flush(timeout)

    async def close(self) -> None:
        """For good: a reconnection under way outlives nats-py's own close, and opens a socket."""
        reconnecting = self._reconnection_task
        await super().close()
        if reconnecting is not None:
            reconnecting.cancel()
            await asyncio.wait([reconnecting])
        await self.let_go()

    async def let_go(self) -> None:
        """Close the socket, also of a refused login: nats-py forgets it."""
        transport: Any = self._transport
        if transport is not None and transport._io_writer is not None:
            transport._io_writer.close()
            with suppress(OSError):
                await transport._io_writer.wait_closed()
