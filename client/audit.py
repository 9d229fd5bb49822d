"""HTTP as auditors use it: one key, one service, plain reading, no second attempt.

Nothing of a key or of a server's inner workings ends up in a message.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from quorate.client.errors import CallFailed
from quorate.client.rejections import failure
from quorate.client.serialization import json_object
from quorate.client.transports.sync_http import (
    CONNECT_SECONDS_MAX,
    needs_tls,
    request_headers,
    unanswered,
)

ANSWER_SECONDS_MAX = 30.0


class Http:
    """A connection to one service, kept open between calls."""

    def __init__(
        self, url: str, api_key: str, *, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._client = httpx2.Client(
            headers=request_headers(api_key),
            verify=needs_tls(url),
            timeout=httpx2.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object at a path; raises CallFailed."""
        try:
            response = self._client.get(self._url + path, params=dict(parameters))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unanswered(self._url, error) from error
        body = json_object(response.content)
        if response.status_code != httpx2.codes.OK:
            raise failure(response.status_code, body)
        if body is None:
            raise CallFailed(f"{self._url} answers, but it is not Quorate")
        return body
