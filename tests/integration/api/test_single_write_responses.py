"""A response written in a single call equals the response sent through ASGI messages."""

import gc
import re
from collections.abc import Iterator
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from quorate.api.response_writer import find_single_write
from quorate.runtime.asgi import Receive, Scope, Send
from tests.integration.api.http_server import RunningServer, run_server
from tests.integration.api.raw_clients import RawConnection, head

BODY = b'{"released": true}'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
    (b"x-request-id", b"1"),
]


class Application:
    """Returns the same response for every path; for /single in a single write if possible."""

    def __init__(self) -> None:
        self.written: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        write_response = find_single_write(scope)
        assert write_response is not None
        if scope["path"] == "/single":
            self.written.append(write_response(200, HEADERS, BODY))
            if self.written[-1]:
                return
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def server(application: Any) -> Iterator[RunningServer]:  # noqa: ANN401 - an ASGI type.
    with run_server(application) as found:
        yield found


def exchange(server: RunningServer, request: bytes) -> bytes:
    """Send a request and return all received bytes, with a fixed date."""
    with RawConnection(server.port) as connection:
        connection.send(request).half_close()
        received = b""
        while data := connection.read_some():
            received += data
    return re.sub(rb"date: [^\r]+", b"date: today", received)


def count_live_requests() -> int:
    return sum(type(one) is RequestResponseCycle for one in gc.get_objects())


def test_finished_request_is_freed_without_garbage_collection(server: RunningServer) -> None:
    gc.collect()
    before = count_live_requests()
    gc.disable()
    try:
        with RawConnection(server.port) as connection:
            for _ in range(3):
                received = connection.send(head("GET", "/single")).read_some()
                while not received.endswith(BODY):
                    received += connection.read_some()
            assert count_live_requests() - before <= 1  # A connection keeps its last request.
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("method", "more", "single_write"),
    [
        ("GET", {}, True),
        ("HEAD", {}, False),
        ("GET", {"Connection": "close"}, False),
    ],
)
def test_single_write_equals_the_asgi_response(
    server: RunningServer,
    application: Application,
    method: str,
    more: dict[str, str],
    single_write: bool,
) -> None:
    in_parts = exchange(server, head(method, "/parts", **more))

    assert exchange(server, head(method, "/single", **more)) == in_parts

    assert application.written == [single_write]
    assert in_parts.startswith(b"HTTP/1.1 200 OK\r\n")


def test_pipelined_single_writes_keep_their_order(
    server: RunningServer, application: Application
) -> None:
    with RawConnection(server.port) as connection:
        connection.send(
            b"".join(head("GET", path) for path in ("/single", "/parts", "/single", "/single"))
        )
        responses = [connection.read_response() for _ in range(4)]

    assert [(one.status, one.body) for one in responses] == [(200, BODY)] * 4
    assert application.written == [True, True, True]
