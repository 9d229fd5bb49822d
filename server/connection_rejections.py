"""Rejections of requests that the application never sees: the parser or a limit rejects them."""

import os
from collections import Counter

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from quorate.contracts.problems import (
    CONNECTION_CODES,
    CONTENT_TYPE,
    KINDS,
    RETRY_AFTER_SECONDS,
    problem_body,
)
from quorate.runtime.asgi import Headers
from quorate.runtime.log_throttle import ThrottledWarning

HEADER_BYTES_MAX = 32 * 1024

_DETAILS = {
    "malformed_request": "The request is not valid HTTP/1.1.",
    "method_not_allowed": "The server is not a proxy.",
    "request_timeout": "The request did not arrive in time.",
    "headers_too_large": f"The headers exceed {HEADER_BYTES_MAX} bytes.",
    "unavailable": "Too many connections, or too many requests on this connection.",
}
assert frozenset(_DETAILS) == CONNECTION_CODES
# Rejections by code. Global, because uvicorn creates the protocol objects.
REJECTED: Counter[str] = Counter()

_logger = structlog.get_logger("quorate.http")
_too_many = ThrottledWarning("http.connection_rejected")


def reject(code: str, default_headers: Headers) -> bytes:
    """Count and log a rejection, and return its response, which closes the connection."""
    request_id = os.urandom(8).hex()
    status = KINDS[code].status
    REJECTED[code] += 1
    if code == "unavailable":  # A flood of connections must not fill the log.
        _too_many.warn(status=status, code=code, request_id=request_id)
    else:
        _logger.info("http.request_rejected", status=status, code=code, request_id=request_id)
    body = problem_body(code, _DETAILS[code], {}, request_id)
    headers = [
        *default_headers,
        (b"content-type", CONTENT_TYPE),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    if code == "unavailable":
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    if code == "method_not_allowed":
        headers.append((b"allow", b""))
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"%s%s\r\n%s" % (STATUS_LINE[status], lines, body)
