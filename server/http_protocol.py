"""HTTP/1.1 from strangers: every connection has bounds in bytes and in time, and says so.

* A header section arrives within HEADER_SECONDS_MAX and HEADER_BYTES_MAX, the rest of a body
  within BODY_SECONDS_MAX (and CHUNKED_BYTES_MAX, where its length is not known before), and an
  answer is taken off our hands within ANSWER_SECONDS_MAX.
* What cannot be read is refused as a problem like any other, after the requests before it were
  answered; nothing that follows it on the connection is read as a request.
* When a connection ends, every request on it hears of it, the pipelined ones too.
* When there are as many connections as may be, one on which nobody is served gives way to the next.

All this costs a request a few assignments. A connection has one timer, which looks at the
deadlines when it fires and is never moved while requests pass.
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
    HttpToolsProtocol,
    RequestResponseCycle,
)

from quorate.api import whole_response
from quorate.contracts.problems import (
    CONNECTION_CODES,
    CONTENT_TYPE,
    KINDS,
    RETRY_AFTER_SECONDS,
    problem_body,
)
from quorate.runtime.asgi import Headers

HEADER_SECONDS_MAX = 10.0
HEADER_BYTES_MAX = 32 * 1024
BODY_SECONDS_MAX = 15.0
ANSWER_SECONDS_MAX = 60.0
CLOSING_SECONDS_MAX = 2.0
CHUNKED_BYTES_MAX = 1024 * 1024  # With what is no body: chunks' sizes, and trailers.
CONNECTIONS_MAX = 4_000
PIPELINED_MAX = 100
FILES_KEPT = 256  # What the rest of the process may have open besides connections.

# Where the connection stands in reading a request.
_BETWEEN: Final = 0
_HEADERS: Final = 1
_BODY: Final = 2
_WHOLE: Final = 3  # Until the end of the chunk that brought the request's last byte.
_UPGRADING: Final = 4

_DETAILS = {
    "malformed_request": "This is not HTTP/1.1.",
    "method_not_allowed": "This is no proxy.",
    "request_timeout": "The request did not arrive in time.",
    "headers_too_large": f"The headers may have {HEADER_BYTES_MAX} bytes.",
    "unavailable": "Too many connections, or requests on one of them.",
}
assert frozenset(_DETAILS) == CONNECTION_CODES
# How often it did, in this process: uvicorn makes each connection by itself.
REFUSED: Counter[str] = Counter()

_logger = structlog.get_logger("quorate.http")
# What uvicorn itself has to say: not that a request was refused, which is told here.
_failures = logging.getLogger("quorate.http.protocol")
_failures.setLevel(logging.ERROR)


@dataclass(eq=False)
class _Unreadable(Exception):
    """Ends the parser's work on a connection."""

    code: str


class BoundedHttpProtocol(HttpToolsProtocol):
    _timer: asyncio.TimerHandle | None = None
    _part = _BETWEEN
    _chunk = b""
    _again: bytes | None = None
    _header_bytes = 0  # Of a header section that goes on, since its first chunk.
    _rest_bytes = 0  # Of a body that came in more than one piece.
    _read_by: float | None = None  # Until then what is being read must have arrived.
    _written_by: float | None = None
    _closing = False
    _deaf = False  # Nothing more is read.
    _refusal: str | None = None  # To be answered after the requests before it.
    _last: RequestResponseCycle | None = None  # The request that is read, or was read last.
    _earlier: tuple[RequestResponseCycle, ...] = ()

    # -- The life of a connection --------------------------------------------

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= connections_max() and not self._displaces_another():
            self.transport = transport
            self._deaf = True
            transport.write(self._refused("unavailable"))
            transport.close()
            return
        self.logger = _failures
        super().connection_made(transport)
        self._read_by = self.loop.time() + HEADER_SECONDS_MAX
        self._timer = self.loop.call_later(HEADER_SECONDS_MAX, self._look)

    def _displaces_another(self) -> bool:
        """Who was answered, or has not asked yet, gives way to who may be about to: else strangers
        who say nothing would keep everybody out.
        """
        for other in self.connections:
            if isinstance(other, BoundedHttpProtocol) and other.gives_way():
                self.connections.discard(other)
                return True
        return False

    def gives_way(self) -> bool:
        """Close, if nobody is served here and nothing is left to be said."""
        if self._is_busy() or self.transport.get_write_buffer_size() > 0:
            return False
        self.transport.close()
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.pipeline.clear()
        for cycle in self._earlier:
            _disconnect(cycle)
        super().connection_lost(exc)

    def _look(self) -> None:
        """What is overdue? Deadlines set from now on are at least HEADER_SECONDS_MAX away."""
        self._timer = None
        now = self.loop.time()
        if self.transport.is_closing():
            if self._closing:  # It was so the last time: the other side reads nothing.
                self.transport.abort()
            self._closing = True
        elif self._written_by is not None and now >= self._written_by:
            self.transport.abort()
        elif self._read_by is not None and now >= self._read_by:
            self._read_by = None
            self._end_reading()
        if self._timer is None:
            due = min(self._read_by or now + HEADER_SECONDS_MAX, now + HEADER_SECONDS_MAX)
            self._timer = self.loop.call_at(min(due, self._written_by or due), self._look)

    def _end_reading(self) -> None:
        if self._part == _BODY:
            self._refuse("request_timeout")
        elif self._is_busy():
            self._read_by = self.loop.time() + HEADER_SECONDS_MAX
        elif self._part == _HEADERS:
            self._refuse("request_timeout")
        else:
            self.transport.close()

    def _is_busy(self) -> bool:
        """A request before the one that is being read has not been answered yet."""
        return self._last is not None and not self._last.response_complete

    # -- Reading -------------------------------------------------------------

    @override
    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._chunk = data
        super().data_received(data)
        if self._again is not None:
            data, self._again = self._again, None
            self.data_received(data)
        elif self._part == _WHOLE:
            self._part = _BETWEEN
        elif not self._deaf:
            self._expect_the_rest()
        self._chunk = b""

    def _expect_the_rest(self) -> None:
        if self._read_by is None:
            seconds = BODY_SECONDS_MAX if self._part == _BODY else HEADER_SECONDS_MAX
            self._read_by = self.loop.time() + seconds
        if self._part == _HEADERS:
            self._header_bytes += len(self._chunk)
            if self._header_bytes > HEADER_BYTES_MAX:
                self._refuse("headers_too_large")
        elif self._part == _BODY and _is_chunked(self.headers):
            self._rest_bytes += len(self._chunk)
            if self._rest_bytes > CHUNKED_BYTES_MAX:
                self._refuse("headers_too_large")

    @override
    def on_message_begin(self) -> None:
        self._part = _HEADERS
        self._header_bytes = -len(self._chunk)
        super().on_message_begin()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """What follows a body is no header, and not kept: a proxy in front did not look at it."""
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
        whole_response.offer(self.cycle)
        self._part = _BODY
        self._rest_bytes = 0
        self._read_by = None
        before, self._last = self._last, self.cycle
        if before is not None and not before.response_complete:
            self._line_up(before)

    @override
    def on_message_complete(self) -> None:
        if self._part != _UPGRADING:
            self._part = _WHOLE
            self._read_by = None
            super().on_message_complete()

    def _check_header_bytes(self) -> None:
        """Exactly, but only where a section came in pieces or in a large chunk."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEADER_BYTES_MAX:
            raise _Unreadable("headers_too_large")

    def _line_up(self, before: RequestResponseCycle) -> None:
        """Pipelining is served in order; more than PIPELINED_MAX at once is cut off there."""
        waiting = tuple(cycle for cycle in self._earlier if not cycle.response_complete)
        self._earlier = (*waiting, before)
        if len(self._earlier) > PIPELINED_MAX:
            raise _Unreadable("unavailable")

    def _decline_upgrade(self) -> None:
        """An offer to speak HTTP/2 or websocket may be ignored (RFC 9110, section 7.8)."""
        if self.parser.get_method() == b"CONNECT":
            raise _Unreadable("method_not_allowed")
        self._part = _UPGRADING

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """The parser stopped at the offer, before the body: it starts over without the offer."""
        offered = sys.exception()
        assert offered is not None
        lines = [b"%s: %s\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        head = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        self._again = b"".join((head, *lines, b"\r\n", self._chunk[offered.args[0] :]))

    # -- Refusing ------------------------------------------------------------

    @override
    def send_400_response(self, msg: str) -> None:
        """Called for whatever the parser, or a callback of it, cannot accept."""
        error = sys.exception()
        cause = error.__context__ if error is not None else None
        self._refuse(cause.code if isinstance(cause, _Unreadable) else "malformed_request")

    def _refuse(self, code: str) -> None:
        """Refuse the request that is being read, once those before it are answered."""
        self._deaf = True
        self._read_by = None
        if self._part == _BODY and self._last is not None:
            if self._last.response_started:  # Too late to say anything.
                self.transport.close()
                return
            _disconnect(self._last)
            if not self.pipeline:
                self._say(code)
                return
            self.pipeline.popleft()
        elif not self._is_busy():
            self._say(code)
            return
        self._refusal = code

    @override
    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._refusal is not None and not self.transport.is_closing():
            self._say(self._refusal)

    def _say(self, code: str) -> None:
        """The last words; what still comes in is dropped, so that they are not lost to a reset."""
        self._refusal = None
        self._unset_keepalive_if_required()
        self.transport.write(self._refused(code))
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(CLOSING_SECONDS_MAX, self.transport.abort)

    def _refused(self, code: str) -> bytes:
        request_id = os.urandom(8).hex()
        status = KINDS[code].status
        REFUSED[code] += 1
        _logger.info("http.refused", status=status, code=code, request_id=request_id)
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

    # -- Answering -----------------------------------------------------------

    @override
    def pause_writing(self) -> None:
        self._written_by = self.loop.time() + ANSWER_SECONDS_MAX
        super().pause_writing()

    @override
    def resume_writing(self) -> None:
        self._written_by = None
        super().resume_writing()


def _is_chunked(headers: Headers) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = True
    cycle.message_event.set()


def connections_max() -> int:
    """No more than the system lets this process open."""
    try:
        import resource  # noqa: PLC0415 - Unix only.
    except ImportError:
        return CONNECTIONS_MAX
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(1, min(CONNECTIONS_MAX, allowed - FILES_KEPT))
