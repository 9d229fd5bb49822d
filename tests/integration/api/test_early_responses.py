"""A response before the end of a body reaches the client, and the limits of a lingering close."""

import asyncio

import pytest

from quorate.contracts.operations import BODY_BYTES_MAX
from quorate.server import http_protocol, lingering_close
from quorate.server.http_protocol import BoundedHttpProtocol
from quorate.server.lingering_close import DISCARD_BYTES_MAX
from tests.integration.api.http_server import BODY, RunningServer, chunked, get, limits, post
from tests.integration.api.raw_clients import RawConnection, head, wait_until

LARGE_BODY = b"a" * 5_000_000
PIECE = b"a" * 65_536


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.fixture
def few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the number of bytes that the server discards."""
    monkeypatch.setattr(lingering_close, "DISCARD_BYTES_MAX", 2 * BODY_BYTES_MAX)


@pytest.fixture
def many_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exclude that a connection ends because of the time."""
    monkeypatch.setattr(lingering_close, "DISCARD_SECONDS_MAX", 600.0)


def protocols(server: RunningServer) -> list[BoundedHttpProtocol]:
    connections = list(server.server.server_state.connections)
    return [one for one in connections if isinstance(one, BoundedHttpProtocol)]


def has_incomplete_request(server: RunningServer) -> bool:
    return bool(server.server.server_state.tasks)


def is_reset_while_sending(connection: RawConnection) -> bool:
    """Whether the connection ends while the client sends without an end."""
    for _ in range(10_000):
        try:
            connection.send(PIECE)
        except ConnectionError:
            return True
    return False


# -- Persistent connections --------------------------------------------------


def test_request_after_a_discarded_body_is_served(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        for _ in range(3):
            response = connection.send(post(LARGE_BODY)).read_response()
            assert response.code == "body_too_large"
            assert "connection" not in response.headers
            assert connection.send(post()).read_response().body == b"acme"


def test_pipelined_requests_after_a_discarded_body_are_served(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(get("/slow") + post(LARGE_BODY) + post() + get("/1"))
        assert connection.read_response().body == b"/slow"
        assert connection.read_response().code == "body_too_large"
        assert [connection.read_response().body for _ in range(2)] == [b"acme", b"/1"]


def test_discarded_bytes_are_not_stored(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(post(LARGE_BODY[:-1], Content_Length=len(LARGE_BODY)))
        assert connection.read_response().code == "body_too_large"
        (protocol,) = protocols(server)
        assert not protocol.cycle.body
        assert connection.send(b"a" + post()).read_response().body == b"acme"


def test_connection_persists_after_a_body_in_chunks(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        for _ in range(3):
            connection.send(chunked(chunk(BODY[:5])))
            wait_until(lambda: has_incomplete_request(server))
            connection.send(chunk(BODY[5:]) + b"0\r\n\r\n")
            response = connection.read_response()
            assert response.body == b"acme"
            assert "connection" not in response.headers


@pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 100_000, 5_000_000])
def test_chunked_body_over_the_limit_closes_the_connection(
    server: RunningServer, size: int
) -> None:
    """The end of the body is not known, unless it has arrived with its start."""
    with RawConnection(server.port) as connection:
        connection.send(chunked(chunk(b"a" * size) + b"0\r\n\r\n"))
        response = connection.read_response()
        assert response.code == "body_too_large"
        if response.headers.get("connection") == "close":
            assert connection.is_closed()
        else:
            assert connection.send(post()).read_response().body == b"acme"


# -- Closing connections -----------------------------------------------------


@pytest.mark.parametrize("path", ["/echo", "/here", "/slow"])
def test_client_that_asks_to_close_can_send_its_body(server: RunningServer, path: str) -> None:
    request = head("POST", path, Content_Length=len(LARGE_BODY), Connection="close") + LARGE_BODY
    with RawConnection(server.port) as connection:
        response = connection.send(request).read_response()
        assert response.status == (415 if path == "/echo" else 200)
        assert response.headers["connection"] == "close"
        assert connection.is_closed()


def test_client_of_http_1_0_can_send_its_body(server: RunningServer) -> None:
    request = post(LARGE_BODY).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with RawConnection(server.port) as connection:
        assert connection.send(request).read_response().code == "body_too_large"
        assert connection.is_closed()


def test_body_without_an_end_closes_the_connection(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        response = connection.send(chunked(chunk(LARGE_BODY))).read_response()
        assert response.code == "body_too_large"
        assert response.headers["connection"] == "close"
        assert connection.is_closed()


def test_announced_body_over_the_discard_limit_closes_the_connection(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(post(b"a", Content_Length=DISCARD_BYTES_MAX + 1))
        response = connection.read_response()
        assert response.code == "body_too_large"
        assert response.headers["connection"] == "close"
        assert connection.is_closed()


def test_request_after_an_unread_body_is_not_served(server: RunningServer) -> None:
    """A request that follows a rejected body must not be read as a request."""
    with RawConnection(server.port) as connection:
        connection.send(post(LARGE_BODY, Connection="close") + post() + get())
        assert connection.read_response().code == "body_too_large"
        assert connection.is_closed()


def test_excess_connection_can_send_its_body(server: RunningServer) -> None:
    server.table.limits = limits(connections_max=1)
    with RawConnection(server.port) as first:
        first.send(get("/stream")).read_response_head()
        for _ in range(3):
            with RawConnection(server.port) as connection:
                assert connection.send(post(LARGE_BODY)).read_response().code == "unavailable"
                assert connection.is_closed()


def test_excess_connections_that_linger_are_limited(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.table.limits = limits(connections_max=1)
    monkeypatch.setattr(http_protocol, "EXCESS_LINGERING_MAX", 0)
    with RawConnection(server.port) as first:
        first.send(get("/stream")).read_response_head()
        with RawConnection(server.port) as connection:
            assert connection.read_response().code == "unavailable"
            assert is_reset_while_sending(connection)


def test_stopping_server_closes_the_connection_after_a_body_in_parts(
    server: RunningServer,
) -> None:
    with RawConnection(server.port) as connection:
        connection.send(chunked(chunk(BODY[:5])))
        wait_until(lambda: has_incomplete_request(server))
        (protocol,) = protocols(server)
        stopped = asyncio.run_coroutine_threadsafe(shut_down(protocol), protocol.loop)
        stopped.result()
        connection.send(chunk(BODY[5:]) + b"0\r\n\r\n")
        response = connection.read_response()
        assert response.body == b"acme"
        assert response.headers["connection"] == "close"
        assert connection.is_closed()


async def shut_down(protocol: BoundedHttpProtocol) -> None:
    protocol.shutdown()


# -- Expect: 100-continue ----------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"), [("/echo", 413), ("/here", 200)], ids=["rejected", "served unread"]
)
def test_client_that_expects_to_continue_gets_the_response_without_a_body(
    server: RunningServer, path: str, status: int
) -> None:
    request = head(
        "POST",
        path,
        Content_Type="application/json",
        Content_Length=len(LARGE_BODY),
        Expect="100-continue",
    )
    with RawConnection(server.port) as connection:
        received = connection.send(request).read_some()
        assert received.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nconnection: close\r\n" in received
        while data := connection.read_some():
            received += data
        assert b"100 Continue" not in received


def test_client_that_expects_to_continue_keeps_the_connection(server: RunningServer) -> None:
    request = post(b"", Content_Length=len(BODY), Expect="100-continue")
    with RawConnection(server.port) as connection:
        for _ in range(3):
            assert connection.send(request).read_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
            response = connection.send(BODY).read_response()
            assert response.body == b"acme"
            assert "connection" not in response.headers


# -- Limits of a lingering close ---------------------------------------------


@pytest.mark.usefixtures("few_bytes", "many_seconds")
@pytest.mark.parametrize(
    "start",
    [
        post(b"", Content_Length=10**12),
        post(b"", Content_Length=10**12, Connection="close"),
        chunked(chunk(PIECE) * 2),
        head("GET", "/here", X="a" * 64 * 1024),
        b"\x00",
    ],
    ids=["length", "close", "chunks", "headers", "malformed"],
)
def test_lingering_connection_ends_at_the_byte_limit(server: RunningServer, start: bytes) -> None:
    with RawConnection(server.port) as connection:
        connection.send(start)
        assert is_reset_while_sending(connection)
        assert 400 <= connection.read_response().status < 500
    wait_until(lambda: server.connections == 0)


@pytest.mark.parametrize(
    "start",
    [post(b"", Content_Length=10**12), chunked(chunk(PIECE) * 2), b"\x00"],
    ids=["length", "chunks", "malformed"],
)
def test_lingering_connection_ends_at_the_time_limit(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(lingering_close, "DISCARD_SECONDS_MAX", 0.2)
    with RawConnection(server.port) as connection:
        assert 400 <= connection.send(start).read_response().status < 500
        assert connection.is_closed()
        wait_until(lambda: server.connections == 0)


@pytest.mark.usefixtures("many_seconds")
def test_lingering_connection_ends_with_the_client(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(post(b"", Content_Length=10**12))
        assert connection.read_response().code == "body_too_large"
    wait_until(lambda: server.connections == 0)


@pytest.mark.usefixtures("few_bytes")
def test_input_after_a_malformed_request_is_limited_while_responses_are_pending(
    server: RunningServer,
) -> None:
    with RawConnection(server.port) as connection:
        connection.send(get("/slow") + b"\x00" + PIECE * 10)
        assert connection.read_response().body == b"/slow"
        assert connection.read_response().code == "malformed_request"
        assert connection.is_closed()
