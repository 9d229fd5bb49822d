"""Unauthenticated connections have time and size limits, and do not affect other clients."""

import resource
import time

import pytest

from quorate.contracts.operations import BODY_BYTES_MAX
from quorate.server.connection_rejections import HEADER_BYTES_MAX
from quorate.server.http_protocol import PIPELINED_MAX
from quorate.server.open_files import FILES_RESERVED, connection_files_max, waiting_files_max
from tests.integration.api.http_server import (
    BODY,
    LARGE_BYTES,
    SHORT_SECONDS,
    EchoApplication,
    RunningServer,
    chunked,
    get,
    limits,
    post,
)
from tests.integration.api.raw_clients import RawConnection, head, wait_until

# -- Time limits -------------------------------------------------------------


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("first", [b"", get()], ids=["first request", "second request"])
def test_slow_headers_time_out(server: RunningServer, first: bytes) -> None:
    with RawConnection(server.port) as connection:
        if first:
            assert connection.send(first).read_response().status == 200
            time.sleep(SHORT_SECONDS / 2)
        start = time.monotonic()
        for letter in get()[:-1]:
            connection.send_ignoring_errors(bytes([letter]))
            time.sleep(SHORT_SECONDS / 30)
            if time.monotonic() > start + SHORT_SECONDS:
                break

        assert connection.read_response().code == "request_timeout"
        assert connection.is_closed()
        assert SHORT_SECONDS - 0.2 < time.monotonic() - start < 10 * SHORT_SECONDS


@pytest.mark.usefixtures("short_timeouts")
def test_silent_connection_is_closed(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        assert connection.is_closed()


@pytest.mark.usefixtures("short_timeouts")
def test_empty_lines_do_not_keep_a_connection_open(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        assert connection.send(get()).read_response().status == 200
        end = time.monotonic() + 2 * SHORT_SECONDS
        while time.monotonic() < end:
            connection.send_ignoring_errors(b"\r\n")
            time.sleep(SHORT_SECONDS / 10)

        assert connection.is_closed()


@pytest.mark.usefixtures("short_timeouts")
def test_connection_may_be_idle_between_requests(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        for _ in range(3):
            assert connection.send(get()).read_response().status == 200
            time.sleep(1.2 * SHORT_SECONDS)
        assert connection.send(get()).read_response().status == 200


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize(
    "start",
    [post()[: -len(BODY)], post()[:-1], chunked(b""), chunked(b"5\r\n{"), chunked(b"1\r\n{\r\n")],
    ids=["nothing", "all but the end", "no chunk", "half a chunk", "a chunk"],
)
def test_incomplete_body_times_out(server: RunningServer, start: bytes) -> None:
    with RawConnection(server.port) as connection:
        assert connection.send(start).read_response().code == "request_timeout"
        assert connection.is_closed()


@pytest.mark.usefixtures("short_timeouts")
def test_connection_is_closed_during_a_rejected_body(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(post(b"", Content_Length=BODY_BYTES_MAX + 1))
        assert connection.read_response().code == "body_too_large"
        start = time.monotonic()
        while time.monotonic() < start + 2 * SHORT_SECONDS:
            connection.send_ignoring_errors(b" ")
            time.sleep(SHORT_SECONDS / 10)

        assert connection.is_closed()


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("header", ["keep-alive", "close"])
def test_unread_response_is_aborted(server: RunningServer, header: str) -> None:
    with RawConnection(server.port, receive_bytes=4_096) as connection:
        connection.send(head("GET", "/large", Connection=header))
        wait_until(lambda: server.connections == 1)
        wait_until(lambda: server.connections == 0)


def test_slowly_read_response_arrives_completely(server: RunningServer) -> None:
    with RawConnection(server.port, receive_bytes=4_096) as connection:
        assert len(connection.send(get("/large")).read_response().body) == LARGE_BYTES // 6 * 6


# -- Size limits -------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        head("GET", "/here", X="a" * 64 * 1024),
        head("GET", "/here", **{f"X{number}": "a" * 100 for number in range(1_000)}),
        head("GET", "/" + "a" * 64 * 1024),
        head("GET", "/here?" + "a=b&" * 16 * 1024),
        head("GET", "/here", **{"a" * 64 * 1024: ""}),
        head("GET", "/here", X="a" * 4_000_000),
    ],
    ids=["value", "many", "path", "query", "name", "megabytes"],
)
def test_headers_over_the_limit_are_rejected(server: RunningServer, request_: bytes) -> None:
    with RawConnection(server.port) as connection:
        assert connection.send_ignoring_errors(request_).read_response().code == "headers_too_large"
        assert connection.is_closed()


@pytest.mark.parametrize("piece", [100, 1_000, 10_000])
def test_header_limit_applies_to_fragmented_headers(server: RunningServer, piece: int) -> None:
    short = head("GET", "/here", X="a" * (HEADER_BYTES_MAX - 1_000))
    long = head("GET", "/here", X="a" * (HEADER_BYTES_MAX + 1))
    with RawConnection(server.port) as connection:
        for start in range(0, len(short), piece):
            connection.send(short[start : start + piece])
        assert connection.read_response().status == 200
        for start in range(0, len(long), piece):
            connection.send_ignoring_errors(long[start : start + piece])
        assert connection.read_response().code == "headers_too_large"


def test_header_limit_applies_to_each_pipelined_request(server: RunningServer) -> None:
    one = head("GET", "/here", X="a" * 1_000)
    with RawConnection(server.port) as connection:
        connection.send(one * 60 + one[:500])
        assert [connection.read_response().status for _ in range(60)] == [200] * 60
        assert connection.send(one[500:]).read_response().status == 200


NOT_HTTP = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method": b"BREW /here HTTP/1.1\r\n\r\n",
    "version": b"GET /here HTTP/9.9\r\n\r\n",
    "path": b"GET /\xff HTTP/1.1\r\n\r\n",
    "bare newlines": b"GET /here HTTP/1.1\nHost: quorate.test\n\n",
    "space before colon": b"GET /here HTTP/1.1\r\nHost : quorate.test\r\n\r\n",
    "folded line": b"GET /here HTTP/1.1\r\nX: one\r\n two\r\n\r\n",
    "nul": b"GET /here HTTP/1.1\r\nX: \x00\r\n\r\n",
    "negative length": post(Content_Length=-5),
    "length in words": post(Content_Length="five"),
    "length of 30 digits": post(Content_Length="1" * 30),
    "two lengths": head("POST", "/echo", Content_Length=5, content_length=6) + b"hello",
    "length and chunks": post(Transfer_Encoding="chunked"),
    "length and more": post(Transfer_Encoding="gzip, chunked"),
    "chunk in words": chunked(b"five\r\nhello\r\n0\r\n\r\n"),
    "negative chunk": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk of 2**72": chunked(b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "chunk too short": chunked(b"5\r\nhello, world\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("request_", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_malformed_http_is_rejected_without_affecting_others(
    server: RunningServer, request_: bytes
) -> None:
    with RawConnection(server.port) as connection:
        assert connection.send(request_).read_response().code == "malformed_request"
        assert connection.is_closed()
    with RawConnection(server.port) as connection:
        assert connection.send(post()).read_response().body == b"acme"


def test_bytes_after_the_body_are_a_separate_request(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(post(BODY + b"and more", Content_Length=len(BODY)))
        assert connection.read_response().body == b"acme"
        assert connection.read_response().code == "malformed_request"
        assert connection.is_closed()


@pytest.mark.usefixtures("short_timeouts")
def test_body_shorter_than_its_length_times_out(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        assert (
            connection.send(post(BODY, Content_Length=len(BODY) + 1)).read_response().code
            == "request_timeout"
        )


def test_oversized_body_is_rejected_unread(server: RunningServer) -> None:
    body = b'{"tenantId":"' + b"a" * 10_000_000 + b'"}'
    with RawConnection(server.port) as connection:
        assert connection.send_ignoring_errors(post(body)).read_response().code == "body_too_large"
    with RawConnection(server.port) as connection:
        chunks = b"".join(b"%x\r\n%s\r\n" % (50_000, b"a" * 50_000) for _ in range(200))
        assert (
            connection.send_ignoring_errors(chunked(chunks)).read_response().code
            == "body_too_large"
        )


@pytest.mark.parametrize("target", ["quorate.test:443", "/here"])
def test_connect_method_is_not_allowed(server: RunningServer, target: str) -> None:
    with RawConnection(server.port) as connection:
        response = connection.send(head("CONNECT", target)).read_response()
        assert response.code == "method_not_allowed"
        assert response.headers["allow"] == ""
        assert connection.is_closed()


@pytest.mark.parametrize("offer", ["h2c", "websocket"])
def test_upgrade_header_is_ignored_and_the_body_is_read(server: RunningServer, offer: str) -> None:
    offered = post(Connection="Upgrade", Upgrade=offer)
    with RawConnection(server.port) as connection:
        for _ in range(3):
            assert connection.send(offered).read_response().body == b"acme"
        assert (
            connection.send(offered[:-5]).send(offered[-5:] + get()).read_response().body == b"acme"
        )
        assert connection.read_response().body == b"/here"


# -- Pipelining --------------------------------------------------------------


def test_pipelined_requests_get_responses_in_order(server: RunningServer) -> None:
    paths = ["/slow", "/1", "/slow", "/2", "/3"]
    with RawConnection(server.port) as connection:
        connection.send(b"".join(map(get, paths)) + post() + get("/4"))
        responses = [connection.read_response().body.decode() for _ in range(len(paths) + 2)]
        assert responses == [*paths, "acme", "/4"]


@pytest.mark.parametrize(
    "broken",
    [b"\x00\r\n\r\n", chunked(b"five"), head("GET", "/here", X="a" * 64 * 1024)],
    ids=["start", "body", "headers"],
)
def test_requests_before_a_malformed_request_get_responses(
    server: RunningServer, broken: bytes
) -> None:
    with RawConnection(server.port) as connection:
        connection.send_ignoring_errors(get("/slow") + get("/1") + broken + get("/2"))
        assert [connection.read_response().body for _ in range(2)] == [b"/slow", b"/1"]
        assert connection.read_response().code in {"malformed_request", "headers_too_large"}
        assert connection.is_closed()


def test_pipelined_requests_are_not_parsed_before_their_turn(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(get("/slow") + get() * 3 * PIPELINED_MAX)
        responses = [connection.read_response() for _ in range(3 * PIPELINED_MAX + 1)]
        assert {one.status for one in responses} == {200}


def test_excess_pipelined_requests_are_rejected(server: RunningServer) -> None:
    request = head("GET", "/here", X="a" * 400)
    with RawConnection(server.port) as connection:
        connection.send_ignoring_errors(request * 5 * PIPELINED_MAX)
        responses = [connection.read_response() for _ in range(PIPELINED_MAX + 1)]
        while responses[-1].status == 200:
            responses.append(connection.read_response())
        assert {one.status for one in responses[:-1]} == {200}
        assert responses[-1].code == "unavailable"
        assert connection.is_closed()


def test_half_closed_connection_gets_responses_in_order_or_is_closed(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(get("/slow") + get("/1")).half_close()
        assert bodies_until_closed(connection) in ([], [b"/slow"], [b"/slow", b"/1"])
    wait_until(lambda: server.connections == 0)


def bodies_until_closed(connection: RawConnection) -> list[bytes]:
    bodies = []
    try:
        while True:
            bodies.append(connection.read_response().body)
    except ConnectionError:
        return bodies


def test_stream_detects_a_disconnected_client(
    server: RunningServer, application: EchoApplication
) -> None:
    with RawConnection(server.port) as connection:
        assert connection.send(get("/stream")).read_some()
    assert application.client_disconnected.wait(5)


def test_stream_detects_a_disconnected_client_with_pipelined_requests(
    server: RunningServer, application: EchoApplication
) -> None:
    with RawConnection(server.port) as connection:
        assert connection.send(get("/stream") + get() + get()).read_some()
    assert application.client_disconnected.wait(5)


# -- Connection limit --------------------------------------------------------


def test_connection_over_the_limit_gets_unavailable(server: RunningServer) -> None:
    server.table.limits = limits(connections_max=3)
    stream = head("GET", "/stream")
    with (
        RawConnection(server.port) as first,
        RawConnection(server.port) as second,
        RawConnection(server.port) as third,
    ):
        for connection in (first, second, third):
            assert connection.send(stream).read_response_head().status == 200
        for _ in range(20):
            with RawConnection(server.port) as connection:
                response = connection.send_ignoring_errors(get()).read_response()
                assert response.code == "unavailable"
                assert int(response.headers["retry-after"]) > 0
                assert connection.is_closed()
    wait_until(lambda: server.connections == 0)
    with RawConnection(server.port) as connection:
        assert connection.send(get()).read_response().status == 200


@pytest.mark.parametrize("data", [b"", b"GET /here HT", get()], ids=["nothing", "half", "one"])
def test_idle_connection_is_closed_when_the_limit_is_reached(
    server: RunningServer, data: bytes
) -> None:
    server.table.limits = limits(connections_max=3)
    with RawConnection(server.port) as served:
        served.send(head("GET", "/stream")).read_response_head()
        idle = [RawConnection(server.port).send(data) for _ in range(2)]
        wait_until(lambda: server.connections == 3)
        for _ in range(5):
            with RawConnection(server.port) as next_:
                assert next_.send(get()).read_response().status == 200
        assert server.connections <= 3
        for connection in idle:
            connection.__exit__()
        served.half_close()


def test_connection_limit_reserves_file_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 1_024))
    assert connection_files_max() + waiting_files_max() == 1_024 - FILES_RESERVED
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert min(connection_files_max(), waiting_files_max()) > 1_000_000


@pytest.mark.usefixtures("short_timeouts")
def test_thousands_of_idle_connections_do_not_slow_others(server: RunningServer) -> None:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(2_500, (allowed - FILES_RESERVED) // 2)  # Both ends are in this process.
    with RawConnection(server.port) as busy:
        assert busy.send(get()).read_response().status == 200
        idle = [RawConnection(server.port) for _ in range(count)]
        start = time.monotonic()
        assert busy.send(get()).read_response().status == 200
        assert time.monotonic() - start < 2
        wait_until(lambda: server.connections <= 1)
        for connection in idle:
            connection.__exit__()
