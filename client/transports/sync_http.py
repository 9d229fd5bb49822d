"""Synchronous client for single requests, with retries.

All attempts of a request carry one idempotency key. So a command is carried out once, and a retry
gets the response of the first attempt.
"""

import random
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from quorate.client.callers import BlockingCaller
from quorate.client.clock import boot_time
from quorate.client.errors import ConfigurationError, RequestFailedError, UnavailableError
from quorate.client.lease_arrival import require_valid
from quorate.client.process_guard import ProcessGuard
from quorate.client.request_builder import Request
from quorate.client.resources import Resources
from quorate.client.retries import TIMEOUT_SECONDS_DEFAULT, RetryPolicy
from quorate.client.serialization import (
    Response,
    encode_http_body,
    idempotency_headers,
    new_idempotency_key,
    parse_failure,
    parse_http_response,
    validate_api_key,
)
from quorate.client.transports.http_settings import create_http_client
from quorate.runtime.url_redaction import redact_url

T = TypeVar("T")

CONNECT_SECONDS_MAX = 5.0
STREAM_SILENCE_SECONDS_MAX = 40.0  # The service sends a keep-alive comment every 15 s.
STREAM_TIMEOUT = httpx2.Timeout(STREAM_SILENCE_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)


class Client(BlockingCaller, Resources[BlockingCaller]):
    """Synchronous client of one service, with one key, over HTTP.

    Connections stay open between requests; ``close`` or the end of a ``with`` block closes them.
    Not thread-safe. Raises UnauthorizedError for a key that cannot be sent in a header.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        clock: Callable[[], float] = boot_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._process = ProcessGuard()
        self._clock = clock
        self._sleep = sleep
        self._client = create_http_client(
            httpx2.Client, url, headers=request_headers(api_key), transport=transport
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(url={redact_url(self._url)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if not self._process.is_forked:
            self._client.close()

    @property
    def _caller(self) -> BlockingCaller:
        return self

    def send(
        self,
        request: Request[T],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> Response[T]:
        self._process.check()
        policy = RetryPolicy(timeout_seconds, clock=self._clock, random=random.random)
        key = idempotency_key or new_idempotency_key()
        while True:
            try:
                response = self._attempt(request, key, policy)
                break
            except UnavailableError as failure:
                pause = policy.pause_after(failure)
            self._sleep(pause)
        require_valid(request, response, self._clock())
        return response

    def stream(
        self, path: str, after: int, log_id: str | None = None
    ) -> Generator[httpx2.ServerSentEvent, None, None]:
        self._process.check()
        try:
            with self._client.stream(
                "GET",
                self._url + path,
                params=log_parameters(log_id),
                headers=stream_headers(after),
                timeout=STREAM_TIMEOUT,
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    content = response.read()
                    raise parse_failure(response.status_code, response.headers, content)
                yield from httpx2.EventSource(response)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise error_from_httpx(self._url, error) from error

    def sleep(self, seconds: float) -> None:
        self._sleep(seconds)

    def _attempt(self, request: Request[T], key: str, policy: RetryPolicy) -> Response[T]:
        seconds = policy.attempt_seconds(request.long_poll_seconds)
        try:
            response = self._client.request(
                request.method,
                self._url + request.path,
                params=dict(request.parameters),
                content=encode_http_body(request),
                headers=idempotency_headers(request, key) | content_headers(request),
                timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS_MAX)),
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise error_from_httpx(self._url, error) from error
        return parse_http_response(
            request, response.status_code, response.headers, response.content, policy.started_at
        )


def request_headers(api_key: str) -> dict[str, str]:
    """Return the headers of every request. Raises UnauthorizedError for an invalid key."""
    return {"Authorization": f"Bearer {validate_api_key(api_key)}", "Accept": "application/json"}


def stream_headers(after: int) -> dict[str, str]:
    """Return the headers of an event stream that begins after the sequence ``after``."""
    return {"Accept": "text/event-stream", "Last-Event-ID": str(after)}


def log_parameters(log_id: str | None) -> dict[str, str]:
    """Return the parameters that name the log of the cursor."""
    return {} if log_id is None else {"logId": log_id}


def content_headers(request: Request[Any]) -> dict[str, str]:
    return {} if request.body is None else {"Content-Type": "application/json"}


def error_from_httpx(url: str, error: httpx2.HTTPError | httpx2.InvalidURL) -> RequestFailedError:
    """Return the exception for a request without a response."""
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return ConfigurationError(f"{redact_url(url)} is not a valid service URL")
    reason = redact_url(str(error)) or type(error).__name__
    return UnavailableError(f"{redact_url(url)} does not answer: {reason}")
