"""A tenant's log, event by event as it grows, for as long as anybody wants.

Each event comes once and in order, whatever happens to the connection: it is taken up again where
it ended. What the service refuses ends the feed; that it cannot be reached does so only at first.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx2
import orjson

from quorate.client.errors import CallFailed, Unavailable
from quorate.client.rejections import failure
from quorate.client.transports.sync_http import needs_tls, request_headers, unanswered

LOG = "/v1/events"
GAP = "gap"
CONNECT_SECONDS_MAX = 5.0
# The service says every 15 s that it is still there.
SILENT_SECONDS_MAX = 40.0
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0
Event: TypeAlias = dict[str, Any]


class LogFeed:
    """``cursor`` is the sequence of the last event that was handed on."""

    def __init__(
        self,
        url: str,
        api_key: str,
        after: int | None,
        on_lost: Callable[[str], None] = lambda _: None,
        on_gap: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._url = url.rstrip("/")
        self._client = httpx2.AsyncClient(headers=request_headers(api_key), verify=needs_tls(url))
        self._after = after
        self._on_lost = on_lost
        self._on_gap = on_gap
        self._connected = False
        self.cursor = after or 0

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
        """Settle where to begin: nothing that happens after this is left out."""
        if self._after is None:
            self._after = self.cursor = await self.head()

    async def events(self) -> AsyncGenerator[Event, None]:
        """From the one after ``after`` on, or from now on; raises CallFailed."""
        await self.begin()
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                async with aclosing(self._stream()) as stream:
                    async for event in stream:
                        pause = PAUSE_SECONDS_MIN
                        yield event
            except Unavailable as gone:
                if not self._connected:
                    raise
                if pause == PAUSE_SECONDS_MIN:  # Said once, not at each attempt.
                    self._on_lost(str(gone))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not a secret.
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    async def head(self) -> int:
        """The sequence of the last event by now; raises CallFailed."""
        try:
            response = await self._client.get(f"{self._url}{LOG}", params={"limit": 1})
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unanswered(self._url, error) from error
        found = _object(response.content)
        if response.status_code != httpx2.codes.OK:
            raise failure(response.status_code, found)
        if found is None or not isinstance(found.get("head"), int):
            raise CallFailed(f"{self._url} answers, but it is not Quorate")
        return int(found["head"])

    async def _stream(self) -> AsyncGenerator[Event, None]:
        """What one connection brings, until it ends."""
        try:
            async with self._client.stream(
                "GET",
                f"{self._url}{LOG}/stream",
                headers={"Accept": "text/event-stream", "Last-Event-ID": str(self.cursor)},
                timeout=httpx2.Timeout(SILENT_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    raise failure(response.status_code, _object(await response.aread()))
                self._connected = True
                async for said in httpx2.EventSource(response):
                    if said.event == GAP:
                        self._skip(said.data)
                        continue
                    event = _event(said.data)
                    if event["sequence"] > self.cursor:
                        self.cursor = event["sequence"]
                        yield event
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unanswered(self._url, error) from error

    def _skip(self, text: str) -> None:
        """Events up to there were archived: they do not come."""
        gap = _object(text)
        if gap is None or not isinstance(gap.get("until"), int):
            raise CallFailed("something answers, but it is not Quorate")
        self.cursor = max(self.cursor, gap["until"])
        self._on_gap(self.cursor)


def _event(text: str) -> Event:
    event = _object(text)
    if event is None or not {"sequence", "at", "type", "data"} <= event.keys():
        raise CallFailed("something answers, but it is not Quorate")
    return event


def _object(content: bytes | str) -> Event | None:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
