"""A stranger's connection has an end, whatever comes in on it, and others don't notification."""

import resource
import time
from collections.abc import Iterator

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from quorate.api.strict_json import BODY_BYTES_MAX
from quorate.server import http_protocol
from quorate.server.http_protocol import HEADER_BYTES_MAX, PIPELINED_MAX, BoundedHttpProtocol
from tests.integration.api.http_server import (
    BODY,
    LARGE_BYTES,
    Application,
    Listening,
    chunked,
    get,
    listening,
    post,
)
from tests.integration.api.raw_clients import Wire, head, wait_until

SECONDS = 0.8  # Stands for each of the limits, so that nobody waits for long.


@pytest.fixture(scope="module")
def application() -> Application:
    return Application()


@pytest.fixture(scope="module")
def listener(application: Application) -> Iterator[Listening]:
    with listening(application) as listener:
        yield listener


@pytest.fixture
def server(listener: Listening, application: Application) -> Listening:
    """As if it had just been started."""
    wait_until(lambda: listener.connections == 0)
    application.left.clear()
    return listener


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits in time, made short."""
    for name in ("HEADER_SECONDS_MAX", "BODY_SECONDS_MAX", "RESPONSE_SECONDS_MAX"):
        monkeypatch.setattr(http_protocol, name, SECONDS)


# -- Time --------------------------------------------------------------------


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("first", [b"", get()], ids=["first request", "second request"])
def test_headers_that_trickle_in_are_cut_off(server: Listening, first: bytes) -> None:
    with Wire(server.port) as wire:
        if first:
            assert wire.say(first).hear().status == 200
            time.sleep(SECONDS / 2)
        start = time.monotonic()
        for letter in get()[:-1]:
            wire.say_while_heard(bytes([letter]))
            time.sleep(SECONDS / 30)
            if time.monotonic() > start + SECONDS:
                break

        assert wire.hear().code == "request_timeout"
        assert wire.closes()
        assert SECONDS - 0.2 < time.monotonic() - start < 10 * SECONDS


@pytest.mark.usefixtures("hasty")
def test_who_says_nothing_is_not_waited_for(server: Listening) -> None:
    with Wire(server.port) as wire:
        assert wire.closes()


@pytest.mark.usefixtures("hasty")
def test_empty_lines_between_requests_keep_nothing_open(server: Listening) -> None:
    with Wire(server.port) as wire:
        assert wire.say(get()).hear().status == 200
        end = time.monotonic() + 2 * SECONDS
        while time.monotonic() < end:
            wire.say_while_heard(b"\r\n")
            time.sleep(SECONDS / 10)

        assert wire.closes()


@pytest.mark.usefixtures("hasty")
def test_a_connection_may_rest_between_requests(server: Listening) -> None:
    with Wire(server.port) as wire:
        for _ in range(3):
            assert wire.say(get()).hear().status == 200
            time.sleep(1.2 * SECONDS)
        assert wire.say(get()).hear().status == 200


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "start",
    [post()[: -len(BODY)], post()[:-1], chunked(b""), chunked(b"5\r\n{"), chunked(b"1\r\n{\r\n")],
    ids=["nothing", "all but the end", "no chunk", "half a chunk", "a chunk"],
)
def test_a_body_that_does_not_come_is_answered_408(server: Listening, start: bytes) -> None:
    with Wire(server.port) as wire:
        assert wire.say(start).hear().code == "request_timeout"
        assert wire.closes()


@pytest.mark.usefixtures("hasty")
def test_what_is_left_of_a_refused_body_does_not_hold_the_connection(server: Listening) -> None:
    with Wire(server.port) as wire:
        wire.say(post(b"", Content_Length=BODY_BYTES_MAX + 1))
        assert wire.hear().code == "body_too_large"
        start = time.monotonic()
        while time.monotonic() < start + 2 * SECONDS:
            wire.say_while_heard(b" ")
            time.sleep(SECONDS / 10)

        assert wire.closes()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_an_answer_that_nobody_takes_is_given_up(server: Listening, connection: str) -> None:
    with Wire(server.port, receive_bytes=4_096) as wire:
        wire.say(head("GET", "/large", Connection=connection))
        wait_until(lambda: server.connections == 1)
        wait_until(lambda: server.connections == 0)


def test_an_answer_that_is_taken_slowly_arrives(server: Listening) -> None:
    with Wire(server.port, receive_bytes=4_096) as wire:
        assert len(wire.say(get("/large")).hear().body) == LARGE_BYTES // 6 * 6


# -- Bytes -------------------------------------------------------------------


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
def test_headers_of_64_kilobytes_are_431(server: Listening, request_: bytes) -> None:
    with Wire(server.port) as wire:
        assert wire.say_while_heard(request_).hear().code == "headers_too_large"
        assert wire.closes()


@pytest.mark.parametrize("piece", [100, 1_000, 10_000])
def test_headers_are_measured_in_pieces_too(server: Listening, piece: int) -> None:
    short = head("GET", "/here", X="a" * (HEADER_BYTES_MAX - 1_000))
    long = head("GET", "/here", X="a" * (HEADER_BYTES_MAX + 1))
    with Wire(server.port) as wire:
        for start in range(0, len(short), piece):
            wire.say(short[start : start + piece])
        assert wire.hear().status == 200
        for start in range(0, len(long), piece):
            wire.say_while_heard(long[start : start + piece])
        assert wire.hear().code == "headers_too_large"


def test_many_requests_at_once_are_not_mistaken_for_one_large_one(server: Listening) -> None:
    one = head("GET", "/here", X="a" * 1_000)
    with Wire(server.port) as wire:
        wire.say(one * 60 + one[:500])
        assert [wire.hear().status for _ in range(60)] == [200] * 60
        assert wire.say(one[500:]).hear().status == 200


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
def test_what_is_not_http_is_a_problem_of_its_own(server: Listening, request_: bytes) -> None:
    with Wire(server.port) as wire:
        assert wire.say(request_).hear().code == "malformed_request"
        assert wire.closes()
    with Wire(server.port) as wire:
        assert wire.say(post()).hear().body == b"acme"


def test_a_body_longer_than_it_says_is_no_second_answer_to_the_first(server: Listening) -> None:
    with Wire(server.port) as wire:
        wire.say(post(BODY + b"and more", Content_Length=len(BODY)))
        assert wire.hear().body == b"acme"
        assert wire.hear().code == "malformed_request"
        assert wire.closes()


@pytest.mark.usefixtures("hasty")
def test_a_body_shorter_than_it_says_is_waited_for_in_vain(server: Listening) -> None:
    with Wire(server.port) as wire:
        assert wire.say(post(BODY, Content_Length=len(BODY) + 1)).hear().code == "request_timeout"


def test_ten_megabytes_are_refused_unread(server: Listening) -> None:
    body = b'{"tenantId":"' + b"a" * 10_000_000 + b'"}'
    with Wire(server.port) as wire:
        assert wire.say_while_heard(post(body)).hear().code == "body_too_large"
    with Wire(server.port) as wire:
        chunks = b"".join(b"%x\r\n%s\r\n" % (50_000, b"a" * 50_000) for _ in range(200))
        assert wire.say_while_heard(chunked(chunks)).hear().code == "body_too_large"


@pytest.mark.parametrize("target", ["quorate.test:443", "/here"])
def test_this_is_no_proxy(server: Listening, target: str) -> None:
    with Wire(server.port) as wire:
        refused = wire.say(head("CONNECT", target)).hear()
        assert refused.code == "method_not_allowed"
        assert refused.headers["allow"] == ""
        assert wire.closes()


@pytest.mark.parametrize("offer", ["h2c", "websocket"])
def test_an_offer_to_upgrade_is_ignored_and_the_body_is_not(server: Listening, offer: str) -> None:
    offered = post(Connection="Upgrade", Upgrade=offer)
    with Wire(server.port) as wire:
        for _ in range(3):
            assert wire.say(offered).hear().body == b"acme"
        assert wire.say(offered[:-5]).say(offered[-5:] + get()).hear().body == b"acme"
        assert wire.hear().body == b"/here"


# -- One after another -------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(server: Listening) -> None:
    paths = ["/slow", "/1", "/slow", "/2", "/3"]
    with Wire(server.port) as wire:
        wire.say(b"".join(map(get, paths)) + post() + get("/4"))
        heard = [wire.hear().body.decode() for _ in range(len(paths) + 2)]
        assert heard == [*paths, "acme", "/4"]


@pytest.mark.parametrize(
    "broken",
    [b"\x00\r\n\r\n", chunked(b"five"), head("GET", "/here", X="a" * 64 * 1024)],
    ids=["start", "body", "headers"],
)
def test_what_came_before_a_broken_request_is_answered(server: Listening, broken: bytes) -> None:
    with Wire(server.port) as wire:
        wire.say_while_heard(get("/slow") + get("/1") + broken + get("/2"))
        assert [wire.hear().body for _ in range(2)] == [b"/slow", b"/1"]
        assert wire.hear().code in {"malformed_request", "headers_too_large"}
        assert wire.closes()


def test_too_many_requests_at_once_are_cut_off(server: Listening) -> None:
    with Wire(server.port) as wire:
        wire.say(get() * 3 * PIPELINED_MAX)
        heard = [wire.hear() for _ in range(PIPELINED_MAX + 2)]
        assert {one.status for one in heard[:-1]} == {200}
        assert heard[-1].code == "unavailable"
        assert wire.closes()


def test_a_half_closed_connection_is_answered_in_order_or_closed(server: Listening) -> None:
    with Wire(server.port) as wire:
        wire.say(get("/slow") + get("/1")).half_close()
        assert bodies_until_closed(wire) in ([], [b"/slow"], [b"/slow", b"/1"])
    wait_until(lambda: server.connections == 0)


def bodies_until_closed(wire: Wire) -> list[bytes]:
    bodies = []
    try:
        while True:
            bodies.append(wire.hear().body)
    except ConnectionError:
        return bodies


def test_a_stream_hears_that_its_reader_left(server: Listening, application: Application) -> None:
    with Wire(server.port) as wire:
        assert wire.say(get("/stream")).read_some()
    assert application.left.wait(5)


def test_so_it_does_with_other_requests_behind_it(
    server: Listening, application: Application
) -> None:
    with Wire(server.port) as wire:
        assert wire.say(get("/stream") + get() + get()).read_some()
    assert application.left.wait(5)


# -- All of them -------------------------------------------------------------


def test_more_connections_than_there_may_be_are_told_so(
    server: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "CONNECTIONS_MAX", 3)
    stream = head("GET", "/stream")
    with Wire(server.port) as first, Wire(server.port) as second, Wire(server.port) as third:
        for wire in (first, second, third):
            assert wire.say(stream).hear_head().status == 200
        for _ in range(20):
            with Wire(server.port) as refused:
                told = refused.say_while_heard(get()).hear()
                assert told.code == "unavailable"
                assert int(told.headers["retry-after"]) > 0
                assert refused.closes()
    wait_until(lambda: server.connections == 0)
    with Wire(server.port) as wire:
        assert wire.say(get()).hear().status == 200


@pytest.mark.parametrize("said", [b"", b"GET /here HT", get()], ids=["nothing", "half", "one"])
def test_who_is_not_served_gives_way_to_the_next(
    server: Listening, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(http_protocol, "CONNECTIONS_MAX", 3)
    with Wire(server.port) as served:
        served.say(head("GET", "/stream")).hear_head()
        idle = [Wire(server.port).say(said) for _ in range(2)]
        wait_until(lambda: server.connections == 3)
        for _ in range(5):
            with Wire(server.port) as next_:
                assert next_.say(get()).hear().status == 200
        assert server.connections <= 3
        for wire in idle:
            wire.__exit__()
        served.half_close()


def test_connections_leave_files_for_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 1_024))
    assert http_protocol.connections_max() == 1_024 - http_protocol.FILES_RESERVED
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert http_protocol.connections_max() == http_protocol.CONNECTIONS_MAX


@pytest.mark.usefixtures("hasty")
def test_thousands_who_say_nothing_disturb_nobody(server: Listening) -> None:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(2_500, (allowed - http_protocol.FILES_RESERVED) // 2)  # Both ends are ours.
    with Wire(server.port) as busy:
        assert busy.say(get()).hear().status == 200
        idle = [Wire(server.port) for _ in range(count)]
        start = time.monotonic()
        assert busy.say(get()).hear().status == 200
        assert time.monotonic() - start < 2
        wait_until(lambda: server.connections <= 1)
        for wire in idle:
            wire.__exit__()


# -- uvicorn -----------------------------------------------------------------


def test_what_we_override_is_still_there() -> None:
    """An upgrade that renames a hook would silently switch a limit off."""
    ours = [name for name, hook in vars(BoundedHttpProtocol).items() if is_override(hook)]

    assert len(ours) == 12
    assert set(ours) <= set(vars(HttpToolsProtocol))


def is_override(hook: object) -> bool:
    return getattr(hook, "__override__", False)
