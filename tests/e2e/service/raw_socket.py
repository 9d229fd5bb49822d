"""Bytes to a service as they are, past any library that would mend them or refuse to send them."""

import asyncio
from urllib.parse import urlsplit

from tests.e2e.service.service_process import Running

ANSWERED_SECONDS_MAX = 20.0


async def opened(service: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(service.url)
    assert address.hostname is not None
    return await asyncio.open_connection(address.hostname, address.port)


async def raw(service: Running, request: bytes) -> bytes:
    """All that the service answers until it ends the connection."""
    reader, writer = await opened(service)
    try:
        async with asyncio.timeout(ANSWERED_SECONDS_MAX):
            writer.write(request)
            await writer.drain()
            writer.write_eof()
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def hang_up_after(service: Running, request: bytes) -> None:
    """Send a request and be gone before it can have been answered."""
    _, writer = await opened(service)
    writer.write(request)
    await writer.drain()
    writer.transport.abort()


def post(path: str, key: str, body: bytes) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Authorization: Bearer {key}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
