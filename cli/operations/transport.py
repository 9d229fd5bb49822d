"""Send the request of an operation: JSON with retries, text once, or a stream with reconnection."""

import random
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import orjson

from quorate.cli.connection.api import CALL_TIMEOUT_SECONDS
from quorate.cli.connection.resolve import Service
from quorate.cli.output.console import print_hint
from quorate.client.errors import RequestFailedError, UnavailableError
from quorate.client.problem_errors import error_from_response
from quorate.client.request_builder import Request
from quorate.client.results import GAP
from quorate.client.serialization import Response, parse_json_object, validate_api_key
from quorate.client.transports.http_settings import create_http_client
from quorate.client.transports.sync_http import Client, error_from_httpx, request_headers

# The service sends a keep-alive comment every 15 s.
STREAM_SILENCE_SECONDS_MAX = 40.0
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0


def send(
    service: Service,
    request: Request[Any],
    *,
    timeout_seconds: float | None = None,
    idempotency_key: str | None = None,
) -> Response[Any]:
    """Send a request until it has a response; raises RequestFailedError."""
    with Client(service.url, service.api_key) as client:
        return client.send(
            request,
            timeout_seconds=timeout_seconds or CALL_TIMEOUT_SECONDS + request.long_poll_seconds,
            idempotency_key=idempotency_key,
        )


def fetch(service: Service, request: Request[Any], *, timeout_seconds: float | None = None) -> str:
    """Return the text of a response; raises RequestFailedError. The service may need no key."""
    try:
        with create_http_client(httpx2.Client, service.url, headers=_headers(service)) as http:
            response = http.request(
                request.method,
                service.url.rstrip("/") + request.path,
                params=dict(request.parameters),
                timeout=timeout_seconds or CALL_TIMEOUT_SECONDS,
            )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise error_from_httpx(service.url, error) from error
    if response.status_code != httpx2.codes.OK:
        raise error_from_response(response.status_code, parse_json_object(response.content))
    return response.text


def _headers(service: Service) -> dict[str, str]:
    if not service.api_key:
        return {}
    return {"Authorization": f"Bearer {validate_api_key(service.api_key)}"}


def stream(
    service: Service, request: Request[Any], last_event_id: int | None = None
) -> Iterator[Any]:
    """Yield the JSON of each event without end; a gap is the object ``{"gap": {...}}``.

    A lost connection is resumed after the last event. Raises RequestFailedError for a rejection, or
    if the first connection fails.
    """
    position = _Position(None if last_event_id is None else str(last_event_id))
    pause = PAUSE_SECONDS_MIN
    with create_http_client(
        httpx2.Client, service.url, headers=request_headers(service.api_key)
    ) as http:
        while True:
            try:
                for event in _connect(http, service, request, position):
                    pause = PAUSE_SECONDS_MIN
                    yield event
            except UnavailableError as error:
                if not position.is_connected:
                    raise
                if pause == PAUSE_SECONDS_MIN:  # Reported once per loss, not at each attempt.
                    print_hint(f"Connection lost, retrying: {error}.")
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - not a secret.
            pause = min(2 * pause, PAUSE_SECONDS_MAX)


class _Position:
    """The id of the last event, and whether the stream was connected once."""

    def __init__(self, last_event_id: str | None) -> None:
        self.last_event_id = last_event_id
        self.is_connected = False


def _connect(
    http: httpx2.Client, service: Service, request: Request[Any], position: _Position
) -> Iterator[Any]:
    """Yield the events of one connection until it ends."""
    last = position.last_event_id
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
    try:
        with http.stream(
            request.method,
            service.url.rstrip("/") + request.path,
            params=dict(request.parameters),
            headers=headers,
            timeout=httpx2.Timeout(STREAM_SILENCE_SECONDS_MAX, connect=CALL_TIMEOUT_SECONDS),
        ) as response:
            if response.status_code != httpx2.codes.OK:
                problem = parse_json_object(response.read())
                raise error_from_response(response.status_code, problem)
            position.is_connected = True
            for message in httpx2.EventSource(response):
                yield _parse(message)
                position.last_event_id = message.id or position.last_event_id
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise error_from_httpx(service.url, error) from error


def _parse(message: httpx2.ServerSentEvent) -> Any:  # noqa: ANN401 - any JSON value.
    try:
        data = orjson.loads(message.data)
    except orjson.JSONDecodeError as error:
        raise RequestFailedError("The stream does not come from a Quorate service") from error
    return {GAP: data} if message.event == GAP else data
