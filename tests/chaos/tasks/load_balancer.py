"""A TCP load balancer before replicas, as a deployment has one.

Each connection goes to the next replica that accepts it. When a replica is killed, its connections
end, and a client that connects again reaches another one.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.e2e.service.replicas import LOOPBACK, Replica

CHUNK_BYTES = 65_536
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LoadBalancer:
    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._count = len(replicas)
        self._next = cycle(replicas)
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._forward((reader, writer)))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _forward(self, client: Streams) -> None:
        """Copy both ways until one side ends."""
        opened = [client]
        try:
            replica = await self._connect()
            if replica is None:
                return
            opened.append(replica)
            ways = [
                asyncio.create_task(_copy(source[0], target[1]))
                for source, target in ((client, replica), (replica, client))
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for _, writer in opened:
                writer.close()

    async def _connect(self) -> Streams | None:
        for _ in range(self._count):
            address = urlsplit(next(self._next).url)
            with suppress(OSError):
                return await asyncio.open_connection(address.hostname, address.port)
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
