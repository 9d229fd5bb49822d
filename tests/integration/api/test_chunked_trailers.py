"""Trailers after a chunked body are not treated as headers and have a size limit."""

from collections.abc import Iterator

import pytest

from quorate.server.http_protocol import CHUNKED_BYTES_MAX
from tests.integration.api.http_server import (
    BODY,
    EchoApplication,
    RunningServer,
    chunked,
    run_server,
)
from tests.integration.api.raw_clients import RawConnection


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with run_server(EchoApplication()) as server:
        yield server


def test_trailer_is_not_a_header(server: RunningServer) -> None:
    """Otherwise a trailer would bypass the header checks of a proxy."""
    length = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    with RawConnection(server.port) as connection:
        request = chunked(length + b"Content-Encoding: gzip\r\n\r\n")
        assert connection.send(request).read_response().body == b"acme"


@pytest.mark.parametrize("trailer", [b"X: " + b"y" * 1_000 + b"\r\n", b"X: " + b"y" * 1_000])
def test_trailers_have_a_size_limit(server: RunningServer, trailer: bytes) -> None:
    with RawConnection(server.port) as connection:
        connection.send_ignoring_errors(
            chunked(b"0\r\n" + trailer * (2 * CHUNKED_BYTES_MAX // 1_000))
        )
        assert connection.read_response().code == "headers_too_large"
        assert connection.is_closed()
