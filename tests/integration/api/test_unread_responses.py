"""Clients that do not read or send slowly give way, and others are served."""

import socket
import struct
from contextlib import ExitStack

import pytest

from tests.integration.api.http_server import (
    BODY,
    UNREAD_BYTES,
    EchoApplication,
    RunningServer,
    get,
    limits,
    post,
)
from tests.integration.api.raw_clients import RawConnection, head, wait_until


def unread(server: RunningServer, request: bytes) -> RawConnection:
    """Send a request whose response does not fit into the buffers of the kernel."""
    before = server.table.unread_bytes
    connection = RawConnection(server.port, receive_bytes=4_096).send(request)
    wait_until(lambda: server.table.unread_bytes > before)
    return connection


def is_reset(connection: RawConnection) -> bool:
    """Whether the server reset the connection; the kernel then keeps none of the response."""
    try:
        while connection.read_some():
            pass
    except ConnectionResetError:
        return True
    return False


def test_next_request_begins_after_the_response_was_read(
    server: RunningServer, application: EchoApplication
) -> None:
    begun = application.begun
    begun.clear()
    with unread(server, get("/unread") + get("/1") + get("/2")) as connection:
        with RawConnection(server.port) as other:
            assert other.send(get("/other")).read_response().status == 200
        assert begun == ["/unread", "/other"]

        bodies = [connection.read_response().body for _ in range(3)]

        assert bodies[1:] == [b"/1", b"/2"]
        assert begun == ["/unread", "/other", "/1", "/2"]
    assert server.table.unread_bytes == 0


def test_request_sent_after_an_unread_response_begins_when_it_was_read(
    server: RunningServer, application: EchoApplication
) -> None:
    application.begun.clear()
    with unread(server, get("/unread")) as connection:
        connection.send(get("/1"))
        with RawConnection(server.port) as other:
            assert other.send(get("/other")).read_response().status == 200
        assert application.begun == ["/unread", "/other"]
        connection.read_response()
        assert connection.read_response().body == b"/1"


def test_oldest_unread_response_is_reset_above_the_limit(server: RunningServer) -> None:
    server.table.limits = limits(unread_bytes_max=5 * UNREAD_BYTES)  # Half for one address.
    with ExitStack() as stack:
        first = stack.enter_context(unread(server, get("/unread")))
        stack.enter_context(unread(server, get("/unread")))
        stack.enter_context(RawConnection(server.port, receive_bytes=4_096)).send(get("/unread"))
        wait_until(lambda: server.table.displaced["unread_response"] == 1)
        assert is_reset(first)
    wait_until(lambda: server.table.unread_bytes == 0)


def test_stream_whose_client_does_not_read_gives_way(
    server: RunningServer, application: EchoApplication
) -> None:
    server.table.limits = limits(connections_max=1)
    with unread(server, get("/flood")) as stream:
        with RawConnection(server.port) as other:
            assert other.send(get()).read_response().status == 200
        assert is_reset(stream)
    assert application.client_disconnected.wait(5)


def test_stream_whose_client_reads_does_not_give_way(server: RunningServer) -> None:
    server.table.limits = limits(connections_max=1)
    with RawConnection(server.port) as stream:
        stream.send(get("/stream")).read_response_head()
        with RawConnection(server.port) as other:
            assert other.send_ignoring_errors(get()).read_response().code == "unavailable"


def test_slow_body_gives_way_with_a_response(server: RunningServer) -> None:
    server.table.limits = limits(connections_max=2)
    slow = [RawConnection(server.port).send(post(BODY[:5], Content_Length=9)) for _ in range(2)]
    wait_until(lambda: len(server.server.server_state.tasks) == 2)
    with RawConnection(server.port) as other:
        assert other.send(get()).read_response().status == 200
    response = slow[0].read_response()
    assert response.code == "unavailable"
    assert int(response.headers["retry-after"]) > 0
    assert server.table.displaced["slow_request"] == 1
    for connection in slow:
        connection.__exit__()


def test_connection_that_is_idle_longest_gives_way(server: RunningServer) -> None:
    server.table.limits = limits(connections_max=3)
    with ExitStack() as stack:
        kept = [stack.enter_context(RawConnection(server.port)) for _ in range(3)]
        for connection in (*kept, kept[0]):
            assert connection.send(get()).read_response().status == 200
        with RawConnection(server.port) as other:
            assert other.send(get()).read_response().status == 200
        assert kept[1].is_closed()
        assert kept[0].send(get()).read_response().status == 200


def test_connections_of_an_address_give_way_to_each_other(server: RunningServer) -> None:
    server.table.limits = limits(connections_per_address=2)
    with ExitStack() as stack:
        kept = [stack.enter_context(RawConnection(server.port)) for _ in range(2)]
        for connection in kept:
            assert connection.send(get()).read_response().status == 200
        with RawConnection(server.port) as other:
            assert other.send(get()).read_response().status == 200
        assert kept[0].is_closed()


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("header", ["keep-alive", "close"])
def test_unread_response_is_reset_at_the_time_limit(server: RunningServer, header: str) -> None:
    with unread(server, head("GET", "/unread", Connection=header)) as connection:
        wait_until(lambda: server.connections == 0)
        assert is_reset(connection)


def test_displaced_connections_leave_nothing_in_the_table(server: RunningServer) -> None:
    server.table.limits = limits(connections_max=2)
    for _ in range(10):
        connection = RawConnection(server.port)
        connection.send(get()).read_response()
        reset(connection)
    wait_until(lambda: server.table.open_count == 0)


def reset(connection: RawConnection) -> None:
    linger = struct.pack("ii", 1, 0)
    connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.__exit__()


# -- Host --------------------------------------------------------------------

VALID_HOSTS = ["quorate.test", "quorate.test:8420", "127.0.0.1:1", "[::1]:8420", ""]
INVALID_HOSTS = ["quorate.test/path", "user@quorate.test", "a b", "a:b", "[::1", "a,b:80:80"]


@pytest.mark.parametrize("host", VALID_HOSTS)
def test_valid_host_is_accepted(server: RunningServer, host: str) -> None:
    request = f"GET /here HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with RawConnection(server.port) as connection:
        assert connection.send(request).read_response().status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /here HTTP/1.1\r\n\r\n",
        b"GET http://quorate.test/here HTTP/1.1\r\n\r\n",
        b"GET /here HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        b"GET /here HTTP/1.1\r\nHost: a\r\nX: 1\r\nHOST: b\r\n\r\n",
        b"GET /here HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        *(f"GET /here HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for host in INVALID_HOSTS),
    ],
)
def test_missing_repeated_or_invalid_host_is_rejected(
    server: RunningServer, request_: bytes
) -> None:
    with RawConnection(server.port) as connection:
        response = connection.send(request_).read_response()
        assert response.status == 400
        assert response.code == "malformed_request"
        assert connection.is_closed()


def test_http_1_0_needs_no_host(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        assert connection.send(b"GET /here HTTP/1.0\r\n\r\n").read_response().status == 200
