"""A minimal HTTP client, so that the clients do not limit the load on the service.

A request is complete when its whole response was read. Every other outcome, from a rejected
connection to a partial response, raises ``NoResponse``: the command may or may not have been
executed.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from quorate.domain.shared.records import record

RESPONSE_SECONDS_MAX = 30.0


class NoResponse(Exception):
    """No complete response arrived."""


@record
class Response:
    status: int
    sequence: int  # The head of the log in the response.
    body: Any


class Connection:
    """A connection to the current address of the service, opened on demand."""

    def __init__(self, api_key: str, seconds_max: float = RESPONSE_SECONDS_MAX) -> None:
        self._api_key = api_key
        self._seconds_max = seconds_max
        self._url = ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, url: str, method: str, path: str, body: Mapping[str, Any] | None, key: str
    ) -> Response:
        """Send a request and return its response; raise NoResponse."""
        content = b"" if body is None else orjson.dumps(body)
        lines = (
            f"{method} {path} HTTP/1.1",
            "Host: quorate",
            f"Authorization: Bearer {self._api_key}",
            f"Idempotency-Key: {key}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
        )
        head = "\r\n".join(lines) + "\r\n\r\n"
        try:
            async with asyncio.timeout(self._seconds_max):
                reader, writer = await self._connect(url)
                writer.write(head.encode() + content)
                await writer.drain()
                return await _read_response(reader)
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise NoResponse(repr(error)) from error

    async def _connect(self, url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if url != self._url:
            self.close()
        if self._streams is None:
            self._url, address = url, urlsplit(url)
            self._streams = await asyncio.open_connection(address.hostname, address.port)
        return self._streams

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read_response(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers["content-length"]))
    return Response(
        status=int(status.split()[1]),
        sequence=int(headers.get("quorate-sequence", 0)),
        body=orjson.loads(body),
    )
