"""Send requests over NATS when it is connected, else over HTTP, with retries.

* All attempts of a request carry one idempotency key, over both transports. So a command that was
  carried out over NATS without a response is not carried out again over HTTP.
* A rejection is a final response. It is not retried over the other transport.
"""

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from quorate.client.clock import Clock
from quorate.client.errors import ClientClosedError, UnavailableError
from quorate.client.process_guard import ProcessGuard
from quorate.client.rejections import RejectedError
from quorate.client.request_builder import Request
from quorate.client.retries import RetryPolicy
from quorate.client.serialization import Response, new_idempotency_key

if TYPE_CHECKING:
    from quorate.client.transports.http import HttpTransport
    from quorate.client.transports.nats import NatsTransport

T = TypeVar("T")


class FailoverTransport:
    """``nats`` may be set later, because its address contains the id of the agent."""

    def __init__(self, http: "HttpTransport", clock: Clock, timeout_seconds: float) -> None:
        self.http = http
        self.nats: NatsTransport | None = None
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._closed = False
        self._process = ProcessGuard()

    async def close(self) -> None:
        """Close the connections. Later requests raise ClientClosedError."""
        if self._process.is_forked:
            return
        self._closed = True
        await self.http.close()

    async def execute(self, request: Request[T], *, timeout_seconds: float | None = None) -> T:
        """Send a request and return its result; the exceptions are those of ``send``."""
        return (await self.send(request, timeout_seconds=timeout_seconds)).result

    async def send(
        self,
        request: Request[T],
        *,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
    ) -> Response[T]:
        """Send a request, with retries until the deadline, and return its response.

        Raises RejectedError, UnavailableError at the deadline, ClientClosedError after ``close``,
        RequestFailedError for a response that is not from Quorate, and ForkedError in a child.
        """
        self._process.check()
        timeout = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        policy = RetryPolicy(timeout, clock=self._clock, random=random.random)
        key = idempotency_key or new_idempotency_key()
        while not self._closed:
            try:
                return await self._attempt(request, key, policy)
            except UnavailableError as failure:
                pause = policy.pause_after(failure)
            await asyncio.sleep(pause)
        raise ClientClosedError("The client is closed")

    async def _attempt(self, request: Request[T], key: str, policy: RetryPolicy) -> Response[T]:
        nats = self.nats
        if nats is not None and nats.accepts_commands and request.can_use_nats:
            try:
                return await nats.attempt(request, key, policy.attempt_seconds(), policy.started_at)
            except UnavailableError as failure:
                if isinstance(failure, RejectedError):
                    raise  # The service did respond: the request must wait, not change transport.
        seconds = policy.attempt_seconds(request.long_poll_seconds)
        return await self.http.attempt(request, key, seconds, policy.started_at)
