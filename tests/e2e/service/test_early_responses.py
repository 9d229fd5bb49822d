"""Clients that send the complete body first can read a response that precedes its end."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import requests

from quorate.server.lingering_close import DISCARD_BYTES_MAX
from tests.e2e.service.http_clients import LEASE
from tests.e2e.service.service_process import ServiceProcess

TRIES = 3
TIMEOUT_SECONDS = 20.0
PART_BYTES = 50_000
SIZES = [100_000, 1_000_000, 5_000_000, 20_000_000]
CODES = [
    *("body_too_large", "unauthorized", "not_found", "method_not_allowed"),
    *("unsupported_media_type", "headers_too_large"),
]

Body: TypeAlias = bytes | Iterator[bytes]
Headers: TypeAlias = dict[str, str]
Exchange: TypeAlias = Callable[[str, str, str, Headers, Body], bytes]


def by_urllib(method: str, url: str, path: str, headers: Headers, body: Body) -> bytes:
    request = urllib.request.Request(  # noqa: S310 - the URL of the service.
        url + path, data=body, headers=headers, method=method
    )
    with pytest.raises(urllib.error.HTTPError) as rejection:
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310 - as above.
    with rejection.value as response:
        return response.read()


def by_http_client(method: str, url: str, path: str, headers: Headers, body: Body) -> bytes:
    """Exchange a request; the next request must work if the connection persists."""
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        if response.getheader("Connection") != "close":
            connection.auto_open = 0  # Otherwise the client connects again.
            connection.request("GET", "/livez")
            assert connection.getresponse().status == 200
        return content


def by_requests(method: str, url: str, path: str, headers: Headers, body: Body) -> bytes:
    with requests.Session() as session:
        response = session.request(
            method, url + path, headers=headers, data=body, timeout=TIMEOUT_SECONDS
        )
        assert session.get(f"{url}/livez", timeout=TIMEOUT_SECONDS).status_code == 200
        return response.content


CLIENTS = [by_urllib, by_http_client, by_requests]


def parts(body: bytes) -> Iterator[bytes]:
    """Split a body; the clients send it chunked, without a length."""
    return (body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES))


def code_of(exchange: Exchange, service: ServiceProcess, code: str, body: Body) -> str:
    """Send a request that the service rejects before it reads the body; return the code."""
    headers = {"Authorization": f"Bearer {service.api_key}", "Content-Type": "application/json"}
    method, path = "POST", LEASE
    match code:
        case "unauthorized":
            headers["Authorization"] = "Bearer wrong"
        case "not_found":
            path = "/v1/nothing"
        case "method_not_allowed":
            method = "DELETE"
        case "unsupported_media_type":
            headers["Content-Type"] = "text/plain"
        case "headers_too_large":
            headers["X-Padding"] = "a" * 40_000
    problem: dict[str, Any] = json.loads(exchange(method, service.url, path, headers, body))
    return str(problem["code"])


@pytest.mark.parametrize("exchange", CLIENTS)
@pytest.mark.parametrize("code", CODES)
def test_early_response_is_readable(service: ServiceProcess, exchange: Exchange, code: str) -> None:
    for size in SIZES:
        body = b"a" * size
        for _ in range(TRIES):
            assert code_of(exchange, service, code, body) == code


@pytest.mark.parametrize("exchange", CLIENTS)
def test_early_response_to_a_chunked_body_is_readable(
    service: ServiceProcess, exchange: Exchange
) -> None:
    for size in SIZES:
        for _ in range(TRIES):
            body = parts(b"a" * size)
            assert code_of(exchange, service, "body_too_large", body) == "body_too_large"


@pytest.mark.parametrize("code", CODES)
def test_early_response_is_readable_beyond_the_discard_limit(
    service: ServiceProcess, code: str
) -> None:
    """The client reads the response after a broken pipe, not after a reset."""
    body = b"a" * (2 * DISCARD_BYTES_MAX)
    assert code_of(by_requests, service, code, body) == code
