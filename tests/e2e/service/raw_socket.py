"""Send raw bytes to a service, without an HTTP library that corrects or rejects them."""

import asyncio
from urllib.parse import urlsplit

from tests.e2e.service.service_process import ServiceProcess

RESPONSE_SECONDS_MAX = 60.0


async def open_connection(
    service: ServiceProcess,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(service.url)
    assert address.hostname is not None
    return await asyncio.open_connection(address.hostname, address.port)


async def send_raw(service: ServiceProcess, request: bytes) -> bytes:
    """Send bytes and return all received bytes until the service closes the connection."""
    reader, writer = await open_connection(service)
    try:
        async with asyncio.timeout(RESPONSE_SECONDS_MAX):
            writer.write(request)
            await writer.drain()
            writer.write_eof()
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def send_and_disconnect(service: ServiceProcess, request: bytes) -> None:
    """Send a request and disconnect before the response."""
    _, writer = await open_connection(service)
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
