"""Asynchronous client for single requests, with the retries of ``Client``."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from quorate.client.callers import AsyncCaller
from quorate.client.clock import boot_time
from quorate.client.config import DEFAULT, ClientConfig
from quorate.client.errors import UnavailableError
from quorate.client.lease_arrival import require_valid
from quorate.client.notifications import NotificationFeed
from quorate.client.request_builder import Request
from quorate.client.resources import Resources
from quorate.client.retries import TIMEOUT_SECONDS_DEFAULT, RetryPolicy
from quorate.client.serialization import Response, new_idempotency_key
from quorate.client.transports.http import HttpTransport
from quorate.client.transports.sync_http import log_parameters
from quorate.domain.identity.agents import AgentRef
from quorate.runtime.url_redaction import redact_url

T = TypeVar("T")


class AsyncClient(AsyncCaller, Resources[AsyncCaller]):
    """Asynchronous client of one service, with one key, over HTTP.

    Connections stay open between requests; ``close`` or the end of an ``async with`` block closes
    them. Many tasks may use one client. Raises UnauthorizedError for a key that cannot be sent in a
    header.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = boot_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._clock = clock
        self._sleep = sleep
        self._http = HttpTransport(url, api_key, transport=transport)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(url={redact_url(self._url)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.close()

    @property
    def _caller(self) -> AsyncCaller:
        return self

    async def send(
        self,
        request: Request[T],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> Response[T]:
        policy = RetryPolicy(timeout_seconds, clock=self._clock, random=random.random)
        key = idempotency_key or new_idempotency_key()
        while True:
            seconds = policy.attempt_seconds(request.long_poll_seconds)
            try:
                response = await self._http.attempt(request, key, seconds, policy.started_at)
                break
            except UnavailableError as failure:
                pause = policy.pause_after(failure)
            await self._sleep(pause)
        require_valid(request, response, self._clock())
        return response

    def stream(
        self, path: str, after: int, log_id: str | None = None
    ) -> AsyncGenerator[httpx2.ServerSentEvent, None]:
        return self._http.stream_events(path, after, log_parameters(log_id))

    async def sleep(self, seconds: float) -> None:
        await self._sleep(seconds)

    def notification_feed(
        self,
        agent: AgentRef | None = None,
        *,
        after: int | None = None,
        log_id: str | None = None,
        nats_url: str = "",
        config: ClientConfig = DEFAULT,
    ) -> AbstractAsyncContextManager[NotificationFeed]:
        """Follow the notifications of an agent, without acting as that agent.

        The arguments and exceptions are those of ``NotificationFeed.open``. The feed has its own
        connections. NATS is used only with ``nats_url``.
        """
        return NotificationFeed.open(
            self._url,
            self._api_key,
            agent=agent,
            nats_url=nats_url,
            after=after,
            log_id=log_id,
            config=config,
        )
