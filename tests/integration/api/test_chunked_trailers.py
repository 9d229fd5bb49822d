"""What comes behind a body in chunks is no header, and has an end."""

from collections.abc import Iterator

import pytest

from quorate.server.http_protocol import CHUNKED_BYTES_MAX
from tests.integration.api.http_server import BODY, Application, Listening, chunked, listening
from tests.integration.api.raw_clients import Wire


@pytest.fixture(scope="module")
def server() -> Iterator[Listening]:
    with listening(Application()) as server:
        yield server


def test_what_follows_a_body_is_no_header(server: Listening) -> None:
    """Else it would be one that no proxy in front has looked at, or taken out."""
    length = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    with Wire(server.port) as wire:
        said = chunked(length + b"Content-Encoding: gzip\r\n\r\n")
        assert wire.say(said).hear().body == b"acme"


@pytest.mark.parametrize("trailer", [b"X: " + b"y" * 1_000 + b"\r\n", b"X: " + b"y" * 1_000])
def test_what_follows_a_body_has_an_end(server: Listening, trailer: bytes) -> None:
    with Wire(server.port) as wire:
        wire.say_while_heard(chunked(b"0\r\n" + trailer * (2 * CHUNKED_BYTES_MAX // 1_000)))
        assert wire.hear().code == "headers_too_large"
        assert wire.closes()
