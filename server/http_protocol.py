"""HTTP/1.1 for unauthenticated clients: every connection is bounded in bytes and time.

* A header section must arrive within HEADER_SECONDS_MAX and HEADER_BYTES_MAX, and the rest of a
  body within BODY_SECONDS_MAX, which admission prolongs for a large one. The chunk sizes and
  trailers of a body of unknown length may have CHUNKED_BYTES_MAX. The client must read the full
  response within RESPONSE_SECONDS_MAX.
* An unreadable request is rejected with a problem, after the responses to earlier requests. Nothing
  after it on the connection is read as a request.
* The next pipelined request begins only when the client has read the last response.
* A connection with unread input closes lingering: the client can read the last response.
* When a connection ends, every request on it is notified, including pipelined ones.
* At a limit of ``connection_table``, a connection that waits for its client is displaced.

This costs a request a few assignments. A connection has one timer, which checks the deadlines when
it fires and is never moved by requests.
"""

import asyncio
import logging
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import override
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from quorate.api import connection_owner, response_writer
from quorate.runtime.asgi import Headers
from quorate.server.connection_rejections import HEADER_BYTES_MAX, reject
from quorate.server.connection_table import Displaced
from quorate.server.host_header import has_valid_host
from quorate.server.lingering_close import ResponseTransport
from quorate.server.shared_capacity import SharedCapacityProtocol

HEADER_SECONDS_MAX = 10.0
BODY_SECONDS_MAX = 15.0
CHUNKED_BYTES_MAX = 1024 * 1024  # Of the chunk sizes and trailers of a body.
PIPELINED_MAX = 100
HELD_BYTES_MAX = 16 * 1024  # More input is parsed at once, up to PIPELINED_MAX requests.
EXCESS_LINGERING_MAX = 64  # Connections above the limit that close lingering.

# The part of a request that the connection reads.
_BETWEEN: Final = 0
_HEADERS: Final = 1
_BODY: Final = 2
_COMPLETE: Final = 3  # Until the end of the chunk with the last byte of the request.
_UPGRADING: Final = 4

_END_OF_HEAD: Final = b"\r\n\r\n"

# Lingering connections above the connection limit. Global, because uvicorn creates the objects.
_excess: "set[BoundedHttpProtocol]" = set()

# Messages of uvicorn itself. Rejected requests are logged here instead.
_failures = logging.getLogger("quorate.http.protocol")
_failures.setLevel(logging.ERROR)


@dataclass(eq=False)
class _Unreadable(Exception):
    """Stops the parser of a connection."""

    code: str


class BoundedHttpProtocol(SharedCapacityProtocol):
    _part = _BETWEEN
    _chunk = b""
    _reparse: bytes | None = None
    _header_bytes = 0  # Of an incomplete header section, since its first chunk.
    _rest_bytes = 0  # Of chunk sizes and trailers.
    _read_deadline: float | None = None  # The deadline of the part that is read.
    _closing = False
    _pending_rejection: str | None = None  # Sent after the responses to earlier requests.
    _current: RequestResponseCycle | None = None  # The current or most recent request.
    _response_transport: ResponseTransport
    _held = b""  # Input after a request whose response the client has not read.

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - uvicorn creates it.
        super().__init__(**arguments)
        self._earlier_requests: deque[RequestResponseCycle] = deque()

    # -- The life of a connection --------------------------------------------

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._response_transport = ResponseTransport(transport, self._close_after_response)
        if not self.take_place(transport):
            self.transport = transport
            self._reject_connection()
            return
        self.logger = _failures
        super().connection_made(transport)
        self._read_deadline = self.loop.time() + HEADER_SECONDS_MAX
        self._timer = self.loop.call_later(HEADER_SECONDS_MAX, self._check_deadlines)

    def _reject_connection(self) -> None:
        self.transport.write(reject("unavailable", self.server_state.default_headers))
        if len(_excess) < EXCESS_LINGERING_MAX:
            _excess.add(self)
            self.close_lingering()
        else:
            self._discards_input = True
            self.transport.close()

    @override
    def close_for_another(self) -> Displaced:
        is_idle = self._part == _BETWEEN
        if not is_idle and not self._is_lingering and self._can_reject():
            self.transport.write(reject("unavailable", self.server_state.default_headers))
        self._discards_input = True
        self.transport.close()
        return "idle" if is_idle else "slow_request"

    def _can_reject(self) -> bool:
        """Return whether a response may still be sent for the incomplete request."""
        return self._part != _BODY or not (
            self._current is None or self._current.response_started or self.pipeline
        )

    @override
    def has_complete_request(self) -> bool:
        if self._part != _BODY and self._is_busy():
            return True
        return any(not cycle.response_complete for cycle in self._earlier_requests)

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
        if self._write_deadline is not None:
            if now >= self._write_deadline:
                self.abort()
        elif self.transport.is_closing():
            if self._closing:  # Closing since the last check.
                self.transport.abort()
            self._closing = True
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
        if self._held:
            data, self._held = self._held + data, b""
        self._receive(data)
        self.update_wait()

    def _receive(self, data: bytes) -> None:
        """Parse one request at a time: input after it is held until its response is read."""
        start = 0
        while start < len(data):
            is_head = self._part != _BODY and not self._discards_input
            if is_head and self._is_busy() and len(data) - start <= HELD_BYTES_MAX:
                self._held = data[start:]
                self.flow.pause_reading()
                return
            end = len(data)
            if is_head and data.count(_END_OF_HEAD, start) > 1:
                end = data.index(_END_OF_HEAD, start) + len(_END_OF_HEAD)
            self._parse(data[start:end] if start or end < len(data) else data)
            start = end

    def _parse(self, data: bytes) -> None:
        if self._discards_input:
            self.discard(data)
            return
        self._chunk = data
        super().data_received(data)
        if self._reparse is not None:
            data, self._reparse = self._reparse, None
            self._parse(data)
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
        if not has_valid_host(self.headers, self.parser.get_http_version()):
            raise _Unreadable("malformed_request")
        super().on_headers_complete()
        self.cycle.transport = self._response_transport
        response_writer.offer_single_write(self.cycle)
        connection_owner.offer_extension(self.cycle, self.claim, self._prolong_body, self.slow_down)
        self._part = _BODY
        self._rest_bytes = 0
        self._read_deadline = None
        before, self._current = self._current, self.cycle
        if before is not None and not before.response_complete:
            self._queue_pipelined(before)

    def _prolong_body(self, seconds: float) -> None:
        """Give the rest of the body more time, if it has not arrived."""
        if self._part == _BODY and self._read_deadline is not None:
            self._read_deadline += seconds

    @override
    def on_body(self, body: bytes) -> None:
        """Store a part of the body. The application reads the body when it is complete or too long.

        Otherwise each byte of a slow body would run the application.
        """
        cycle = self.cycle
        self._rest_bytes -= len(body)
        if self._part == _BODY and not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
                cycle.message_event.set()

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
        self._earlier_requests.append(before)
        while self._earlier_requests[0].response_complete:
            self._earlier_requests.popleft()
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
        self._discards_input, self._held = True, b""
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
    def on_responses_read(self) -> None:
        if self._is_lingering or self.transport.is_closing():
            return
        if self._held:
            data, self._held = self._held, b""
            self._receive(data)
        elif self._pending_rejection is not None:
            self._send_final(self._pending_rejection)

    def _send_final(self, code: str) -> None:
        """Send the final response and close the connection."""
        self._pending_rejection = None
        self.transport.write(reject(code, self.server_state.default_headers))
        self.close_lingering()

    # -- Responding ----------------------------------------------------------

    def _close_after_response(self) -> None:
        if self._part == _BETWEEN and not self.pipeline and not self._held:
            self.transport.close()
        else:  # Input is unread, or arrives.
            self.close_lingering()


def _is_chunked(headers: Headers) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = True
    cycle.message_event.set()
