"""HTTP transport: one attempt of a request, and the event stream of notifications.

This module neither retries nor orders: its callers do.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import TypeVar

import httpx2
import orjson

from quorate.client.errors import RequestFailedError, UnavailableError
from quorate.client.process_guard import ProcessGuard
from quorate.client.request_builder import Request
from quorate.client.results import GAP, Notification
from quorate.client.serialization import (
    NOT_QUORATE,
    Response,
    encode_http_body,
    idempotency_headers,
    parse_failure,
    parse_http_response,
)
from quorate.client.transports.http_settings import create_http_client
from quorate.client.transports.sync_http import (
    STREAM_TIMEOUT,
    content_headers,
    error_from_httpx,
    request_headers,
    stream_headers,
)
from quorate.contracts.notification_pages import STREAM_NOTIFICATIONS
from quorate.domain.identity.agents import AgentRef
from quorate.runtime.url_redaction import redact_url

T = TypeVar("T")

CONNECT_SECONDS_MAX = 5.0
CONNECTIONS_MAX = 20
LOG_ID = "quorate-log-id"


class HttpTransport:
    """Connection pool to one service, with one key. Connections stay open between requests."""

    def __init__(
        self, url: str, api_key: str, *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._process = ProcessGuard()
        self._client = create_http_client(
            httpx2.AsyncClient,
            url,
            headers=request_headers(api_key),
            transport=transport,
            limits=httpx2.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX
            ),
        )

    async def close(self) -> None:
        if not self._process.is_forked:
            await self._client.aclose()

    async def attempt(
        self, request: Request[T], key: str, seconds: float, sent_at: float
    ) -> Response[T]:
        """Send a request once, under the idempotency key ``key``.

        Raises UnavailableError without a response in ``seconds``, else RequestFailedError or one of
        its subclasses.
        """
        self._process.check()
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.request(
                    request.method,
                    self._url + request.path,
                    params=dict(request.parameters),
                    content=encode_http_body(request),
                    headers=idempotency_headers(request, key) | content_headers(request),
                    timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS_MAX)),
                )
        except TimeoutError as error:
            raise UnavailableError(
                f"{redact_url(self._url)} did not answer within {seconds:.1f} s"
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise error_from_httpx(self._url, error) from error
        return parse_http_response(
            request, response.status_code, response.headers, response.content, sent_at
        )

    async def stream(
        self,
        agent: AgentRef,
        after: int,
        log_id: str | None = None,
        take_log_id: Callable[[str | None], None] = lambda _: None,
    ) -> AsyncIterator[Notification]:
        """Yield the notifications after ``after`` as they happen, until the stream ends.

        ``take_log_id`` receives the id of the log when the stream is open.

        Raises RequestFailedError or one of its subclasses.
        """
        parameters = {"agentId": agent.id, "agentName": agent.name, "logId": log_id}
        given = {name: value for name, value in parameters.items() if value is not None}
        path = STREAM_NOTIFICATIONS.path
        async with aclosing(self.stream_events(path, after, given, take_log_id)) as events:
            async for event in events:
                yield _parse_notification(event)

    async def stream_events(
        self,
        path: str,
        after: int,
        parameters: Mapping[str, str] | None = None,
        take_log_id: Callable[[str | None], None] = lambda _: None,
    ) -> AsyncGenerator[httpx2.ServerSentEvent, None]:
        """Yield the server-sent events after ``after`` until the stream ends.

        Raises RequestFailedError or one of its subclasses.
        """
        self._process.check()
        try:
            async with self._client.stream(
                "GET",
                self._url + path,
                params=dict(parameters or {}),
                headers=stream_headers(after),
                timeout=STREAM_TIMEOUT,
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    content = await response.aread()
                    raise parse_failure(response.status_code, response.headers, content)
                take_log_id(response.headers.get(LOG_ID))
                async for event in httpx2.EventSource(response):
                    yield event
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise error_from_httpx(self._url, error) from error


def _parse_notification(event: httpx2.ServerSentEvent) -> Notification:
    try:
        json = orjson.loads(event.data)
        if event.event == GAP:
            return Notification.gap(json["after"], json["until"])
        return Notification.from_json(json)
    except (KeyError, TypeError, ValueError) as error:
        raise RequestFailedError(NOT_QUORATE) from error
