"""HTTP as plainly as it goes, so that the clients are not what holds up the service.

A request is answered when its whole answer was read. Everything else, from a refused connection
to half an answer, is ``Unknown``: the command may have been carried out, or not.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from quorate.domain.shared.records import record

ANSWER_SECONDS_MAX = 30.0


class Unknown(Exception):
    """No complete answer came."""


@record
class Answer:
    status: int
    sequence: int  # The head of the log, as the answer named it.
    body: Any


class Asking:
    """One connection at a time to wherever the service is now."""

    def __init__(self, api_key: str, seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        self._api_key = api_key
        self._seconds_max = seconds_max
        self._url = ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, url: str, method: str, path: str, body: Mapping[str, Any] | None, key: str
    ) -> Answer:
        """Raises Unknown."""
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
                reader, writer = await self._connected(url)
                writer.write(head.encode() + content)
                await writer.drain()
                return await _answer(reader)
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise Unknown(repr(error)) from error

    async def _connected(self, url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
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


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(
        status=int(status.split()[1]),
        sequence=int(headers.get("quorate-sequence", 0)),
        body=orjson.loads(body),
    )
