"""Read the log of a tenant as an endless stream of events.

* Each event is yielded once and in order; a lost connection is resumed after the last event.
* The cursor belongs to one log: when the service has another log, the feed ends with an error.
* An error response ends the feed. A connection failure ends it only before the first connection.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx2
import orjson

from quorate.client.errors import RequestFailedError, UnavailableError
from quorate.client.problem_errors import error_from_response
from quorate.client.results import GAP
from quorate.client.transports.http import LOG_ID
from quorate.client.transports.http_settings import create_http_client
from quorate.client.transports.sync_http import (
    error_from_httpx,
    log_parameters,
    request_headers,
    stream_headers,
)
from quorate.contracts.event_log import LIST_EVENTS, STREAM_EVENTS

CONNECT_TIMEOUT_SECONDS = 5.0
# The service sends a keep-alive comment every 15 s.
READ_TIMEOUT_SECONDS = 40.0
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0
Event: TypeAlias = dict[str, Any]


class LogFeed:
    """Event stream with reconnection; ``cursor`` is the sequence of the last yielded event."""

    def __init__(
        self,
        url: str,
        api_key: str,
        after: int | None,
        on_lost: Callable[[str], None] = lambda _: None,
        on_gap: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._url = url.rstrip("/")
        self._client = create_http_client(httpx2.AsyncClient, url, headers=request_headers(api_key))
        self._after = after
        self._on_lost = on_lost
        self._on_gap = on_gap
        self._connected = False
        self.cursor = after or 0
        self._log_id: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def begin(self) -> None:
        """Fix the start position: the feed yields every event after this call."""
        if self._after is None:
            self._after = self.cursor = await self.head()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield events after ``after``, or new events only; raises RequestFailedError."""
        await self.begin()
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                async with aclosing(self._stream()) as stream:
                    async for event in stream:
                        pause = PAUSE_SECONDS_MIN
                        yield event
            except UnavailableError as error:
                if not self._connected:
                    raise
                if pause == PAUSE_SECONDS_MIN:  # Reported once per loss, not at each attempt.
                    self._on_lost(str(error))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not a secret.
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def head(self) -> int:
        """Return the sequence of the last event; raises RequestFailedError."""
        try:
            response = await self._client.get(f"{self._url}{LIST_EVENTS.path}", params={"limit": 1})
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise error_from_httpx(self._url, error) from error
        parsed = _parse_object(response.content)
        if response.status_code != httpx2.codes.OK:
            raise error_from_response(response.status_code, parsed)
        if parsed is None or not isinstance(parsed.get("head"), int):
            raise RequestFailedError(f"{self._url} is not a Quorate service")
        self._log_id = parsed.get("logId")
        return int(parsed["head"])

    async def _stream(self) -> AsyncGenerator[Event, None]:
        """Yield the events of one connection until it ends."""
        try:
            async with self._client.stream(
                "GET",
                f"{self._url}{STREAM_EVENTS.path}",
                params=log_parameters(self._log_id),
                headers=stream_headers(self.cursor),
                timeout=httpx2.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    raise error_from_response(
                        response.status_code, _parse_object(await response.aread())
                    )
                self._connected = True
                self._log_id = response.headers.get(LOG_ID) or self._log_id
                async for message in httpx2.EventSource(response):
                    if message.event == GAP:
                        self._skip_archived(message.data)
                        continue
                    event = _parse_event(message.data)
                    if event["sequence"] > self.cursor:
                        self.cursor = event["sequence"]
                        yield event
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise error_from_httpx(self._url, error) from error

    def _skip_archived(self, text: str) -> None:
        """Skip events that were archived: the service does not send them."""
        gap = _parse_object(text)
        if gap is None or not isinstance(gap.get("until"), int):
            raise RequestFailedError("The stream does not come from a Quorate service")
        self.cursor = max(self.cursor, gap["until"])
        self._on_gap(self.cursor)


def _parse_event(text: str) -> Event:
    event = _parse_object(text)
    if event is None or not {"sequence", "at", "type", "data"} <= event.keys():
        raise RequestFailedError("The stream does not come from a Quorate service")
    return event


def _parse_object(content: bytes | str) -> Event | None:
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None
