"""HTTP/1.1 for unauthenticated clients: every connection is bounded in bytes and time.

* A header section must arrive within HEADER_SECONDS_MAX and HEADER_BYTES_MAX, and the rest of a
  body within BODY_SECONDS_MAX. A body of unknown length may have CHUNKED_BYTES_MAX. The client
  must read the full response within RESPONSE_SECONDS_MAX.
* An unreadable request is rejected with a problem, after the responses to earlier requests. Nothing
  after it on the connection is read as a request.
* A connection with unread input closes lingering: the client can read the last response.
* When a connection ends, every request on it is notified, including pipelined ones.
* When the connection limit is reached, a new connection replaces an idle one.

This costs a request a few assignments. A connection has one timer, which checks the deadlines when
it fires and is never moved by requests.
"""

import asyncio
import logging
import os
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Final

import structlog
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    RequestResponseCycle,
)

from quorate.api import response_writer
from quorate.contracts.problems import (
    CONNECTION_CODES,
    CONTENT_TYPE,
    KINDS,
    RETRY_AFTER_SECONDS,
    problem_body,
)
from quorate.runtime.asgi import Headers
from quorate.server.lingering_close import LingeringCloseProtocol, ResponseTransport

HEADER_SECONDS_MAX = 10.0
HEADER_BYTES_MAX = 32 * 1024
BODY_SECONDS_MAX = 15.0
RESPONSE_SECONDS_MAX = 60.0
CHUNKED_BYTES_MAX = 1024 * 1024  # Includes chunk sizes and trailers.
CONNECTIONS_MAX = 4_000
PIPELINED_MAX = 100
FILES_RESERVED = 256  # Reserved for files that are not connections.
EXCESS_LINGERING_MAX = 64  # Connections above the limit that close lingering, of FILES_RESERVED.

# The part of a request that the connection reads.
_BETWEEN: Final = 0
_HEADERS: Final = 1
_BODY: Final = 2
_COMPLETE: Final = 3  # Until the end of the chunk with the last byte of the request.
_UPGRADING: Final = 4

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
# Lingering connections above the connection limit. Global for the same reason.
_excess: "set[BoundedHttpProtocol]" = set()

_logger = structlog.get_logger("quorate.http")
# Messages of uvicorn itself. Rejected requests are logged here instead.
_failures = logging.getLogger("quorate.http.protocol")
_failures.setLevel(logging.ERROR)


@dataclass(eq=False)
class _Unreadable(Exception):
    """Stops the parser of a connection."""

    code: str


class BoundedHttpProtocol(LingeringCloseProtocol):
    _part = _BETWEEN
    _chunk = b""
    _reparse: bytes | None = None
    _header_bytes = 0  # Of an incomplete header section, since its first chunk.
    _rest_bytes = 0  # Of a body that arrived in several chunks.
    _read_deadline: float | None = None  # The deadline of the part that is read.
    _write_deadline: float | None = None
    _closing = False
    _pending_rejection: str | None = None  # Sent after the responses to earlier requests.
    _current: RequestResponseCycle | None = None  # The current or most recent request.
    _earlier_requests: tuple[RequestResponseCycle, ...] = ()
    _response_transport: ResponseTransport

    # -- The life of a connection --------------------------------------------

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._response_transport = ResponseTransport(transport, self._close_after_response)
        if len(self.connections) >= connections_max() and not self._close_idle_connection():
            self.transport = transport
            self._reject_connection()
            return
        self.logger = _failures
        super().connection_made(transport)
        self._read_deadline = self.loop.time() + HEADER_SECONDS_MAX
        self._timer = self.loop.call_later(HEADER_SECONDS_MAX, self._check_deadlines)

    def _reject_connection(self) -> None:
        self.transport.write(self._rejection("unavailable"))
        if len(_excess) < EXCESS_LINGERING_MAX:
            _excess.add(self)
            self.close_lingering()
        else:
            self._discards_input = True
            self.transport.close()

    def _close_idle_connection(self) -> bool:
        """Close an idle connection and return whether one was found.

        Otherwise silent unauthenticated clients could occupy all connections.
        """
        for other in self.connections:
            if isinstance(other, BoundedHttpProtocol) and other.close_if_idle():
                self.connections.discard(other)
                return True
        return False

    def close_if_idle(self) -> bool:
        """Close the connection and return True, unless a request or response is in progress."""
        if self._is_busy() or self.transport.get_write_buffer_size() > 0:
            return False
        self.transport.close()
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        _excess.discard(self)
        self._response_transport.detach()
        self.pipeline.clear()
        for cycle in self._earlier_requests:
            _disconnect(cycle)
        super().connection_lost(exc)

    def _check_deadlines(self) -> None:
        """Check the deadlines. Each new deadline is at least HEADER_SECONDS_MAX in the future."""
        self._timer = None
        now = self.loop.time()
        if self.transport.is_closing():
            if self._closing:  # Closing since the last check: the client reads nothing.
                self.transport.abort()
            self._closing = True
        elif self._write_deadline is not None and now >= self._write_deadline:
            self.transport.abort()
        elif self._read_deadline is not None and now >= self._read_deadline:
            self._read_deadline = None
            self._end_reading()
        if self._timer is None:
            next_check = min(
                self._read_deadline or now + HEADER_SECONDS_MAX, now + HEADER_SECONDS_MAX
            )
            self._timer = self.loop.call_at(
                min(next_check, self._write_deadline or next_check), self._check_deadlines
            )

    def _end_reading(self) -> None:
        if self._part == _BODY:
            self._reject("request_timeout")
        elif self._is_busy():
            self._read_deadline = self.loop.time() + HEADER_SECONDS_MAX
        elif self._part == _HEADERS:
            self._reject("request_timeout")
        else:
            self.transport.close()

    def _is_busy(self) -> bool:
        """Return whether an earlier request still waits for its response."""
        return self._current is not None and not self._current.response_complete

    # -- Reading -------------------------------------------------------------

    @override
    def data_received(self, data: bytes) -> None:
        if self._discards_input:
            self.discard(data)
            return
        self._chunk = data
        super().data_received(data)
        if self._reparse is not None:
            data, self._reparse = self._reparse, None
            self.data_received(data)
        elif self._part == _COMPLETE:
            self._part = _BETWEEN
        elif not self._discards_input:
            self._await_more()
        self._chunk = b""

    def _await_more(self) -> None:
        if self._read_deadline is None:
            seconds = BODY_SECONDS_MAX if self._part == _BODY else HEADER_SECONDS_MAX
            self._read_deadline = self.loop.time() + seconds
            if self._part == _BODY:
                self.expect_body()
        if self._part == _HEADERS:
            self._header_bytes += len(self._chunk)
            if self._header_bytes > HEADER_BYTES_MAX:
                self._reject("headers_too_large")
        elif self._part == _BODY and _is_chunked(self.headers):
            self._rest_bytes += len(self._chunk)
            if self._rest_bytes > CHUNKED_BYTES_MAX:
                self._reject("headers_too_large")

    @override
    def on_message_begin(self) -> None:
        self._part = _HEADERS
        self._header_bytes = -len(self._chunk)
        super().on_message_begin()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """Discard trailers: a proxy in front of the service has not inspected them."""
        if self._part == _HEADERS:
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        length = len(self._chunk)
        if self._header_bytes + length or length > HEADER_BYTES_MAX:
            self._check_header_bytes()
        if self.parser.should_upgrade():
            self._decline_upgrade()
            return
        super().on_headers_complete()
        self.cycle.transport = self._response_transport
        response_writer.offer_single_write(self.cycle)
        self._part = _BODY
        self._rest_bytes = 0
        self._read_deadline = None
        before, self._current = self._current, self.cycle
        if before is not None and not before.response_complete:
            self._queue_pipelined(before)

    @override
    def on_message_complete(self) -> None:
        if self._part != _UPGRADING:
            self._part = _COMPLETE
            self._read_deadline = None
            self.end_body()
            super().on_message_complete()

    def _check_header_bytes(self) -> None:
        """Check the exact size; needed only for a section in several chunks or in a large one."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEADER_BYTES_MAX:
            raise _Unreadable("headers_too_large")

    def _queue_pipelined(self, before: RequestResponseCycle) -> None:
        """Queue a pipelined request; reject the connection above PIPELINED_MAX requests."""
        waiting = tuple(cycle for cycle in self._earlier_requests if not cycle.response_complete)
        self._earlier_requests = (*waiting, before)
        if len(self._earlier_requests) > PIPELINED_MAX:
            raise _Unreadable("unavailable")

    def _decline_upgrade(self) -> None:
        """Ignore an offer of HTTP/2 or WebSocket (RFC 9110, section 7.8)."""
        if self.parser.get_method() == b"CONNECT":
            raise _Unreadable("method_not_allowed")
        self._part = _UPGRADING

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """Parse the request again without the upgrade offer, at which the parser stopped."""
        upgrade = sys.exception()
        assert upgrade is not None
        lines = [b"%s: %s\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        self._reparse = b"".join((head, *lines, b"\r\n", self._chunk[upgrade.args[0] :]))

    # -- Rejecting -----------------------------------------------------------

    @override
    def send_400_response(self, msg: str) -> None:
        """Reject a request that the parser or one of its callbacks cannot accept."""
        error = sys.exception()
        cause = error.__context__ if error is not None else None
        self._reject(cause.code if isinstance(cause, _Unreadable) else "malformed_request")

    def _reject(self, code: str) -> None:
        """Reject the current request, after the responses to earlier ones."""
        self._discards_input = True
        self._read_deadline = None
        if self._part == _BODY and self._current is not None:
            if self._current.response_complete:  # Too late for a problem response.
                self.close_lingering()
                return
            if self._current.response_started:
                self.transport.close()
                return
            _disconnect(self._current)
            if not self.pipeline:
                self._send_final(code)
                return
            self.pipeline.popleft()
        elif not self._is_busy():
            self._send_final(code)
            return
        self._pending_rejection = code

    @override
    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        is_ending = self._is_lingering or self.transport.is_closing()
        if is_last and self._pending_rejection is not None and not is_ending:
            self._send_final(self._pending_rejection)

    def _send_final(self, code: str) -> None:
        """Send the final response and close the connection."""
        self._pending_rejection = None
        self.transport.write(self._rejection(code))
        self.close_lingering()

    def _rejection(self, code: str) -> bytes:
        request_id = os.urandom(8).hex()
        status = KINDS[code].status
        REJECTED[code] += 1
        _logger.info("http.request_rejected", status=status, code=code, request_id=request_id)
        body = problem_body(code, _DETAILS[code], {}, request_id)
        headers = [
            *self.server_state.default_headers,
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

    # -- Responding ----------------------------------------------------------

    def _close_after_response(self) -> None:
        if self._part == _BETWEEN and not self.pipeline:
            self.transport.close()
        else:  # Input is unread, or arrives.
            self.close_lingering()

    @override
    def pause_writing(self) -> None:
        self._write_deadline = self.loop.time() + RESPONSE_SECONDS_MAX
        super().pause_writing()

    @override
    def resume_writing(self) -> None:
        self._write_deadline = None
        super().resume_writing()


def _is_chunked(headers: Headers) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = True
    cycle.message_event.set()


def connections_max() -> int:
    """Return the connection limit, within the open-file limit of the process."""
    try:
        import resource  # noqa: PLC0415 - Unix only.
    except ImportError:
        return CONNECTIONS_MAX
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(1, min(CONNECTIONS_MAX, allowed - FILES_RESERVED))
