"""Calls that wait for their answer: one key, one service, and the retries done for you.

All attempts of a call carry one idempotency key, so a command that was taken once is not taken
again: the retry is answered what the first attempt would have been answered.
"""

import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from quorate.client.errors import CallFailed, Unavailable
from quorate.client.requests import Ask
from quorate.client.retries import WITHIN_SECONDS_DEFAULT, RetryPolicy
from quorate.client.serialization import (
    Answered,
    checked_key,
    headers,
    http_content,
    new_idempotency_key,
    read_http,
)

T = TypeVar("T")

CONNECT_SECONDS_MAX = 5.0


class Caller:
    """Calls one service with one key; connections are kept open between calls.

    Not for use by two threads at once.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._clock = clock
        self._sleep = sleep
        self._client = httpx2.Client(
            headers=request_headers(api_key), verify=needs_tls(url), transport=transport
        )

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
        self._client.close()

    def call(
        self,
        ask: Ask[T],
        *,
        within_seconds: float = WITHIN_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> T:
        """The typed answer.

        Raises Refused when the service declines, at once; Unavailable when ``within_seconds`` have
        passed without an answer (then a command may have been taken: ask again under the same
        ``idempotency_key`` to find out); CallFailed when what answers is not Quorate.
        """
        return self.answer(
            ask, within_seconds=within_seconds, idempotency_key=idempotency_key
        ).result

    def answer(
        self,
        ask: Ask[T],
        *,
        within_seconds: float = WITHIN_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> Answered[T]:
        """As ``call``, with what came beside the answer."""
        attempts = RetryPolicy(within_seconds, clock=self._clock, lot=random.random)
        key = idempotency_key or new_idempotency_key()
        while True:
            try:
                return self._attempt(ask, key, attempts)
            except Unavailable as failure:
                pause = attempts.pause_after(failure)
            self._sleep(pause)

    def _attempt(self, ask: Ask[T], key: str, attempts: RetryPolicy) -> Answered[T]:
        seconds = attempts.seconds(ask.waits_seconds)
        try:
            response = self._client.request(
                ask.method,
                self._url + ask.path,
                params=dict(ask.parameters),
                content=http_content(ask),
                headers=headers(ask, key) | content_headers(ask),
                timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS_MAX)),
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unanswered(self._url, error) from error
        return read_http(
            ask, response.status_code, response.headers, response.content, attempts.began_at
        )


def request_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {checked_key(api_key)}", "Accept": "application/json"}


def content_headers(ask: Ask[Any]) -> dict[str, str]:
    return {} if ask.body is None else {"Content-Type": "application/json"}


def needs_tls(url: str) -> bool:
    """Loading certificates takes longer than all the rest; plain HTTP needs none."""
    return not url.lower().startswith("http://")


def unanswered(url: str, error: httpx2.HTTPError | httpx2.InvalidURL) -> CallFailed:
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return CallFailed(f"{url} is not an address of a service")
    return Unavailable(f"{url} does not answer: {str(error) or type(error).__name__}")
