"""One attempt over HTTP, and the stream of notifications as server-sent events.

No retries here, and no ordering: what comes is handed on as it comes.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

import httpx2
import orjson

from quorate.client.errors import CallFailed, Unavailable
from quorate.client.requests import AGENT, Ask
from quorate.client.results import GAP, Notification
from quorate.client.serialization import Answered, headers, http_content, read_http
from quorate.client.transports.sync_http import (
    content_headers,
    needs_tls,
    request_headers,
    unanswered,
)
from quorate.domain.identity.agents import AgentRef

T = TypeVar("T")

CONNECT_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 20
NOTIFICATIONS_STREAM = AGENT + "/notifications/stream"
# The service says every 15 s that it is still there.
SILENT_SECONDS_MAX = 40.0


class OverHttp:
    """A service's address and a key; connections are kept open between calls."""

    def __init__(
        self, url: str, api_key: str, *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._client = httpx2.AsyncClient(
            headers=request_headers(api_key),
            verify=needs_tls(url),
            transport=transport,
            limits=httpx2.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX
            ),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def attempt(self, ask: Ask[T], key: str, seconds: float, asked_at: float) -> Answered[T]:
        """The answer, within ``seconds``; raises CallFailed."""
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.request(
                    ask.method,
                    self._url + ask.path,
                    params=dict(ask.parameters),
                    content=http_content(ask),
                    headers=headers(ask, key) | content_headers(ask),
                    timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS_MAX)),
                )
        except TimeoutError as error:
            raise Unavailable(f"{self._url} did not answer within {seconds:.1f} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unanswered(self._url, error) from error
        return read_http(ask, response.status_code, response.headers, response.content, asked_at)

    async def stream(self, who: AgentRef, after: int) -> AsyncIterator[Notification]:
        """Notifications as they happen, until the stream ends; raises CallFailed."""
        named = {"agentId": who.id, "agentName": who.name}
        try:
            async with self._client.stream(
                "GET",
                self._url + NOTIFICATIONS_STREAM,
                params={name: value for name, value in named.items() if value is not None},
                headers={"Accept": "text/event-stream", "Last-Event-ID": str(after)},
                timeout=httpx2.Timeout(SILENT_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    content = await response.aread()
                    read_http(_STREAM, response.status_code, response.headers, content, 0.0)
                async for event in httpx2.EventSource(response):
                    yield _notification(event)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unanswered(self._url, error) from error


def _nothing(_: object) -> None:
    """A stream has no answer; only its refusals are read."""


_STREAM: Ask[None] = Ask(
    name="streamNotifications",
    method="GET",
    path=NOTIFICATIONS_STREAM,
    parameters={},
    body=None,
    message={},
    changes=False,
    read=_nothing,
)


def _notification(event: httpx2.ServerSentEvent) -> Notification:
    try:
        said = orjson.loads(event.data)
        if event.event == GAP:
            return Notification.gap(said["after"], said["until"])
        return Notification.read(said)
    except (KeyError, TypeError, ValueError) as error:
        raise CallFailed("something answers, but it is not Quorate") from error
