"""HTTP as auditors use it: one key, one service, plain reading, every failure named.

Nothing of a key or of a server's inner workings ends up in a message.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2
import orjson

from quorate.client.failures import CallFailed, NotFound, Unauthorized, Unavailable

CONNECT_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 30.0
DETAIL_LENGTH_MAX = 300
_FAILURES: Mapping[int, type[CallFailed]] = {
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


class Http:
    """A connection to one service, kept open between calls."""

    def __init__(
        self, url: str, api_key: str, *, transport: httpx2.BaseTransport | None = None
    ) -> None:
        if not api_key.isascii() or not api_key.isprintable():
            raise Unauthorized("the API key holds characters that no key has")
        self._url = url.rstrip("/")
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {api_key}"},
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
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise CallFailed(f"{self._url} is not an address of a service") from error
        except httpx2.HTTPError as error:
            raise Unavailable(f"{self._url} does not answer: {error}") from error
        body = _object(response.content)
        if response.status_code != httpx2.codes.OK:
            failure = _FAILURES.get(response.status_code, CallFailed)
            raise failure(_said(response.status_code, body))
        if body is None:
            raise CallFailed(f"{self._url} answers, but it is not Quorate")
        return body


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _said(status: int, problem: Mapping[str, Any] | None) -> str:
    """A problem's own words, or its status where something else answered."""
    words = [str(problem[name]) for name in ("title", "detail") if problem and problem.get(name)]
    return ": ".join(words)[:DETAIL_LENGTH_MAX] or f"the service answered {status}"
