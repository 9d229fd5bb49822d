"""An answer that leaves in one piece is, byte for byte, the one that would have come in parts."""

import gc
import re
from collections.abc import Iterator
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from quorate.api.response_writer import find_single_write
from quorate.runtime.asgi import Receive, Scope, Send
from tests.integration.api.http_server import Listening, listening
from tests.integration.api.raw_clients import Wire, head

BODY = b'{"released": true}'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
    (b"x-request-id", b"1"),
]


class Application:
    """Answers the same at every path: at /whole in one piece, if the server takes it so."""

    def __init__(self) -> None:
        self.taken: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        whole = find_single_write(scope)
        assert whole is not None
        if scope["path"] == "/whole":
            self.taken.append(whole(200, HEADERS, BODY))
            if self.taken[-1]:
                return
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def server(application: Any) -> Iterator[Listening]:  # noqa: ANN401 - ASGI has types of its own.
    with listening(application) as found:
        yield found


def heard(server: Listening, request: bytes) -> bytes:
    """All that comes back until the connection ends, whenever it was said."""
    with Wire(server.port) as wire:
        wire.say(request).half_close()
        said = b""
        while some := wire.read_some():
            said += some
    return re.sub(rb"date: [^\r]+", b"date: today", said)


def kept_requests() -> int:
    return sum(type(one) is RequestResponseCycle for one in gc.get_objects())


def test_a_request_that_was_answered_does_not_wait_for_the_collector(server: Listening) -> None:
    gc.collect()
    before = kept_requests()
    gc.disable()
    try:
        with Wire(server.port) as wire:
            for _ in range(3):
                said = wire.say(head("GET", "/whole")).read_some()
                while not said.endswith(BODY):
                    said += wire.read_some()
            assert kept_requests() - before <= 1  # The last one of a connection.
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("method", "more", "in_one_piece"),
    [
        ("GET", {}, True),
        ("HEAD", {}, False),
        ("GET", {"Connection": "close"}, False),
    ],
)
def test_both_ways_say_the_same(
    server: Listening,
    application: Application,
    method: str,
    more: dict[str, str],
    in_one_piece: bool,
) -> None:
    in_parts = heard(server, head(method, "/parts", **more))

    assert heard(server, head(method, "/whole", **more)) == in_parts

    assert application.taken == [in_one_piece]
    assert in_parts.startswith(b"HTTP/1.1 200 OK\r\n")


def test_requests_in_a_row_are_answered_in_their_order(
    server: Listening, application: Application
) -> None:
    with Wire(server.port) as wire:
        wire.say(b"".join(head("GET", path) for path in ("/whole", "/parts", "/whole", "/whole")))
        answers = [wire.hear() for _ in range(4)]

    assert [(one.status, one.body) for one in answers] == [(200, BODY)] * 4
    assert application.taken == [True, True, True]
