"""Build the responses of operations: the status, the headers and the body, equal on every path."""

from typing import NamedTuple

from quorate.api.response_writer import find_single_write
from quorate.application.operations import Reply, Streamed
from quorate.application.rate_limiter import Allowance
from quorate.contracts.problems import CONTENT_TYPE, Problem, body_of
from quorate.runtime.asgi import Headers, Scope, Send

_JSON: Headers = [
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_PROBLEM: Headers = [(b"content-type", CONTENT_TYPE), *_JSON[1:]]
_EVENT_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class Response(NamedTuple):
    status: int
    headers: Headers
    body: bytes


def reply_response(reply: Reply, request_id: str, allowance: Allowance = ()) -> Response:
    headers = [
        *(_JSON if reply.media is None else [(b"content-type", reply.media), *_JSON[1:]]),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id.encode()),
        *reply.headers,
        *allowance,
    ]
    if reply.sequence is not None:
        headers.append((b"quorate-sequence", b"%d" % reply.sequence))
    return Response(reply.status, headers, reply.body)


def problem_response(
    problem: Problem,
    request_id: str,
    allowance: Allowance = (),
    *,
    error_object: bool = False,
) -> Response:
    """``error_object`` is that of the operation."""
    body = body_of(problem, request_id, error_object=error_object)
    headers = [
        *_PROBLEM,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
        *allowance,
    ]
    return Response(problem.status, headers, body)


def stream_headers(streamed: Streamed, request_id: str) -> Headers:
    return [*_EVENT_STREAM, (b"x-request-id", request_id.encode()), *streamed.headers]


async def send_response(scope: Scope, send: Send, response: Response) -> None:
    """Send a complete response, in a single write if the server offers it."""
    status, headers, body = response
    write_response = find_single_write(scope)
    if write_response is not None and write_response(status, headers, body):
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
