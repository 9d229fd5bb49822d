"""HTTP client for auditors: one key, one service, GET requests without retries.

No error message contains a key or an internal detail of the server.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from quorate.client.errors import RequestFailedError
from quorate.client.rejections import error_from_response
from quorate.client.serialization import parse_json_object
from quorate.client.transports.sync_http import (
    CONNECT_SECONDS_MAX,
    error_from_httpx,
    request_headers,
    uses_tls,
)

RESPONSE_SECONDS_MAX = 30.0


class AuditClient:
    """Connection to one service. It stays open between requests, until the ``with`` block ends."""

    def __init__(
        self, url: str, api_key: str, *, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._url = url.rstrip("/")
        self._client = httpx2.Client(
            headers=request_headers(api_key),
            verify=uses_tls(url),
            timeout=httpx2.Timeout(RESPONSE_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
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
        """Return the JSON object at ``path``.

        Raises RequestFailedError or one of its subclasses.
        """
        try:
            response = self._client.get(self._url + path, params=dict(parameters))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise error_from_httpx(self._url, error) from error
        body = parse_json_object(response.content)
        if response.status_code != httpx2.codes.OK:
            raise error_from_response(response.status_code, body)
        if body is None:
            raise RequestFailedError(f"{self._url} answers, but it is not Quorate")
        return body
