"""nats-py's client (2.16) with a complete ``flush`` and ``close``."""

import asyncio
from contextlib import suppress
from typing import Any

from nats.aio import client as nats_py

CANCEL_SECONDS = 0.5


class Client(nats_py.Client):
    async def flush(self, timeout: int = 10) -> None:  # noqa: ASYNC109 - the signature of nats-py.
        """Return when the server has processed everything that was sent.

        The PING of nats-py overtakes messages that still wait to be sent. A second PING, sent after
        the first PONG, follows them.
        """
        for _ in range(2):
            await super().flush(timeout)

    async def close(self) -> None:
        """Close the connection, including a reconnect in progress.

        Such a reconnect survives the close of nats-py and opens a socket.
        """
        reconnecting = self._reconnection_task
        await super().close()
        while reconnecting is not None and not reconnecting.done():
            reconnecting.cancel()  # nats-py 2.16 can lose one cancellation.
            await asyncio.wait([reconnecting], timeout=CANCEL_SECONDS)
        await self.close_socket()

    async def close_socket(self) -> None:
        """Close the socket; nats-py leaves the socket of a rejected login open."""
        transport: Any = self._transport
        if transport is not None and transport._io_writer is not None:
            transport._io_writer.close()
            with suppress(OSError):
                await transport._io_writer.wait_closed()
