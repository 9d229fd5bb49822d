"""Large bodies, bodies that are not JSON, and bodies that may be empty."""

import json
import time
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from quorate.api.connection_owner import RETRY_AFTER_SECONDS
from quorate.api.http_admission import HttpAdmission
from quorate.api.large_bodies import LargeBodies
from quorate.api.openapi import document
from quorate.api.routes import route_for
from quorate.application.operations import HANDLERS, Call, Reply
from quorate.contracts.examples import BODIES
from quorate.contracts.operations import BODY_BYTES_MAX, AnyOperation, Operation, known_codes
from quorate.contracts.wire_models import ResponseModel, TenantRequest
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Scope
from tests.integration.api.http_server import SHORT_SECONDS, RunningServer, run_server
from tests.integration.api.raw_clients import RawConnection, RawResponse, head, wait_until

JSON, RAW = "application/json", "message/rfc822"
LARGE = 1024 * 1024
CALLER_MAX, PROCESS_MAX = 300_000, 400_000
PART = 200_000


class TextBody(TenantRequest):
    text: str = "none"


class Length(ResponseModel):
    length: int


def operation(name: str, **options: object) -> AnyOperation:
    return Operation(
        method="POST",
        path=f"/{name}",
        name=name,
        summary=name.title(),
        roles=frozenset({"tenant"}),
        response=Length,
        **options,  # type: ignore[arg-type]
    )


LARGE_JSON = operation("large", body=TextBody, body_bytes_max=LARGE)
RAW_BODY = operation("raw", body_media=RAW, body_bytes_max=LARGE)
OPTIONAL = operation("optional", body=TextBody, body_optional=True)
OPERATIONS = (LARGE_JSON, RAW_BODY, OPTIONAL)


async def _length(call: Call) -> Reply:
    text = call.body if isinstance(call.body, bytes) else call.body.text
    return Reply(body=json.dumps({"length": len(text)}).encode())


async def _principal(key: str, _scope: Scope) -> Principal | None:
    return Principal(key_id=key, role="tenant", tenant="default")


@pytest.fixture
def bodies() -> LargeBodies:
    return LargeBodies(process_bytes_max=4 * LARGE, caller_bytes_max=2 * LARGE)


@pytest.fixture
def server(bodies: LargeBodies) -> Iterator[RunningServer]:
    app = FastAPI(openapi_url=None)
    for one in OPERATIONS:
        admission = HttpAdmission(one, _principal, large_bodies=bodies)
        app.router.routes.append(route_for(one, admission, _length))
    with run_server(app) as server:
        yield server


def start(name: str, length: int, key: str = "a", media: str | None = JSON) -> bytes:
    headers: dict[str, object] = {"Authorization": f"Bearer {key}", "Content_Length": length}
    if media is not None:
        headers["Content_Type"] = media
    return head("POST", f"/{name}", **headers)


def start_chunked(name: str, media: str | None = JSON) -> bytes:
    headers = {"Authorization": "Bearer a", "Transfer_Encoding": "chunked"}
    if media is not None:
        headers["Content_Type"] = media
    return head("POST", f"/{name}", **headers)


def chunks(body: bytes, size: int) -> bytes:
    parts = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def answer(server: RunningServer, request: bytes) -> RawResponse:
    with RawConnection(server.port) as connection:
        return connection.send_ignoring_errors(request).read_response()


def text_body(size: int) -> bytes:
    """Return a JSON body of this size."""
    return b'{"text":"%b"}' % (b"a" * (size - 11))


# -- Large bodies ------------------------------------------------------------


@pytest.mark.parametrize("size", [BODY_BYTES_MAX, BODY_BYTES_MAX + 1, LARGE])
def test_body_within_the_limit_of_its_operation_is_read(
    server: RunningServer, bodies: LargeBodies, size: int
) -> None:
    body = text_body(size)
    for request in (
        start("large", size) + body,
        start_chunked("large") + chunks(body, 10_000),
    ):
        assert answer(server, request).json == {"length": size - 11}
    assert bodies.bytes == 0
    assert not bodies.bytes_of


def test_body_above_the_limit_of_its_operation_is_rejected(
    server: RunningServer, bodies: LargeBodies
) -> None:
    body = text_body(LARGE + 1)
    for request in (
        start("large", len(body)) + body,
        start_chunked("large") + chunks(body, 10_000),
    ):
        response = answer(server, request)
        assert response.code == "body_too_large"
        assert str(LARGE) in response.json["detail"]
    assert bodies.bytes == 0


def test_other_operations_keep_their_limit(server: RunningServer) -> None:
    response = answer(server, start("optional", BODY_BYTES_MAX + 1))
    assert response.code == "body_too_large"
    assert str(BODY_BYTES_MAX) in response.json["detail"]


@pytest.mark.usefixtures("short_timeouts")
def test_large_body_gets_more_time(server: RunningServer) -> None:
    body = text_body(LARGE)
    with RawConnection(server.port) as connection:
        connection.send(start("large", len(body)) + body[:PART])
        time.sleep(2 * SHORT_SECONDS)  # The test is about this time.
        assert connection.send(body[PART:]).read_response().status == 200


@pytest.mark.usefixtures("short_timeouts")
def test_slow_small_body_times_out(server: RunningServer) -> None:
    with RawConnection(server.port) as connection:
        connection.send(start("large", BODY_BYTES_MAX) + b"{")
        assert connection.read_response().code == "request_timeout"


@pytest.mark.usefixtures("few_bytes_at_once")
def test_large_bodies_of_a_caller_are_bounded(server: RunningServer, bodies: LargeBodies) -> None:
    body = text_body(PART)
    with RawConnection(server.port) as first:
        first.send(start("large", PART) + body[:10])
        wait_until(lambda: bodies.bytes == PART)
        rejected = answer(server, start("large", PART) + body)
        assert (rejected.status, rejected.code) == (429, "rate_limited")
        assert rejected.headers["retry-after"] == str(RETRY_AFTER_SECONDS)
        assert answer(server, start("large", 100) + text_body(100)).status == 200
        assert answer(server, start("large", PART, key="b") + body).status == 200
        assert first.send(body[10:]).read_response().status == 200
    assert bodies.bytes == 0
    assert answer(server, start("large", PART) + body).status == 200


@pytest.mark.usefixtures("few_bytes_at_once")
def test_large_bodies_of_a_process_are_bounded(server: RunningServer, bodies: LargeBodies) -> None:
    body = text_body(PART)
    with RawConnection(server.port) as first, RawConnection(server.port) as second:
        first.send(start("large", PART) + body[:10])
        second.send(start("large", PART, key="b") + body[:10])
        wait_until(lambda: bodies.bytes == 2 * PART)
        rejected = answer(server, start("large", PART, key="c") + body)
        assert (rejected.status, rejected.code) == (503, "unavailable")
        assert rejected.headers["retry-after"] == str(RETRY_AFTER_SECONDS)
    wait_until(lambda: bodies.bytes == 0)  # Both clients disconnected.
    assert not bodies.bytes_of


@pytest.fixture
def few_bytes_at_once(bodies: LargeBodies) -> None:
    bodies.caller_bytes_max, bodies.process_bytes_max = CALLER_MAX, PROCESS_MAX


# -- Bodies that are not JSON ------------------------------------------------


@pytest.mark.parametrize("body", [b"Subject: a\r\n\r\n\x00\xff", b"", b"a" * LARGE])
def test_raw_body_arrives_as_it_was_sent(server: RunningServer, body: bytes) -> None:
    request = start("raw", len(body), media=f"{RAW}; charset=utf-8") + body
    assert answer(server, request).json == {"length": len(body)}


@pytest.mark.parametrize("media", [JSON, "text/plain", None])
def test_raw_body_of_another_type_is_rejected(server: RunningServer, media: str | None) -> None:
    response = answer(server, start("raw", 2, media=media) + b"{}")
    assert response.code == "unsupported_media_type"
    assert RAW in response.json["detail"]


def test_raw_body_is_not_offered_over_nats() -> None:
    assert not Operation(
        method="POST",
        path="/raw",
        name="raw",
        summary="Raw",
        roles=frozenset({"agent"}),
        body_media=RAW,
    ).over_nats


def test_codes_of_a_raw_body_are_those_of_reading_it() -> None:
    codes = known_codes(RAW_BODY)
    assert {"body_too_large", "unsupported_media_type", "request_timeout"} <= codes
    assert "invalid_request" not in codes


# -- Bodies that may be empty ------------------------------------------------


def test_empty_body_means_the_defaults(server: RunningServer) -> None:
    for request in (
        start("optional", 0, media=None),
        start("optional", 0),
        start("optional", 0, media="text/plain"),
        start_chunked("optional", media=None) + b"0\r\n\r\n",
        head("POST", "/optional", Authorization="Bearer a"),
    ):
        assert answer(server, request).json == {"length": len("none")}


def test_body_is_read_where_it_may_be_empty(server: RunningServer) -> None:
    request = start("optional", 13) + b'{"text": "a"}'
    assert answer(server, request).json == {"length": 1}


@pytest.mark.parametrize("media", ["text/plain", None])
def test_body_of_another_type_is_rejected(server: RunningServer, media: str | None) -> None:
    for request in (
        start("optional", 2, media=media) + b"{}",
        start_chunked("optional", media=media) + b"2\r\n{}\r\n0\r\n\r\n",
    ):
        assert answer(server, request).code == "unsupported_media_type"


def test_empty_body_is_rejected_elsewhere(server: RunningServer) -> None:
    assert answer(server, start("large", 0)).code == "malformed_request"
    assert answer(server, start("large", 0, media=None)).code == "unsupported_media_type"


# -- OpenAPI -----------------------------------------------------------------


def test_request_bodies_are_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in OPERATIONS:
        monkeypatch.setitem(HANDLERS, one.name, _handler)
        monkeypatch.setitem(BODIES, one.name, {"text": "a"})
    paths = document(OPERATIONS)["paths"]
    found = {one.name: paths[one.path]["post"]["requestBody"] for one in OPERATIONS}
    assert found["large"]["required"]
    assert not found["optional"]["required"]
    assert found["raw"] == {
        "required": True,
        "content": {RAW: {"schema": {"type": "string", "format": "binary"}}},
    }


async def _handler(_service: object, call: Call) -> Reply:
    return await _length(call)
