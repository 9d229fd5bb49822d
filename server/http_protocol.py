"""HTTP/1.1 for unauthenticated clients: every connection is bounded in bytes and time.

* A header section must arrive within HEADER_SECONDS_MAX and HEADER_BYTES_MAX, and the rest of a
  body within BODY_SECONDS_MAX. A body of unknown length may have CHUNKED_BYTES_MAX. The client
  must read the full response within RESPONSE_SECONDS_MAX.
* An unreadable request is rejected with a problem, after the responses to earlier requests. Nothing
  after it on the connection is read as a request.
* The next pipelined request begins only when the client has read the last response.
* A connection with unread input closes lingering: the client can read the last response.
* When a connection ends, every request on it is notified, including pipelined ones.
* When a limit of ``connection_table`` is reached, a connection that waits for its client gives way.

This costs a request a few assignments. A connection has one timer, which checks the deadlines when
it fires and is never moved by requests.
"""

import asyncio
import logging
import sys
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import override
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from quorate.api import connection_owner, response_writer
from quorate.runtime.asgi import Headers
from quorate.server.connection_rejections import HEADER_BYTES_MAX, reject
from quorate.server.connection_table import ConnectionTable, Displaced, Slot
from quorate.server.host_header import has_valid_host
from quorate.server.lingering_close import LingeringCloseProtocol, ResponseTransport

HEADER_SECONDS_MAX = 10.0
BODY_SECONDS_MAX = 15.0
RESPONSE_SECONDS_MAX = 60.0
CHUNKED_BYTES_MAX = 1024 * 1024  # Includes chunk sizes and trailers.
PIPELINED_MAX = 100
BUFFERED_BYTES_MAX = 4 * 1024  # More unsent bytes of a connection are an unread response.
EXCESS_LINGERING_MAX = 64  # Connections above the limit that close lingering.

# The part of a request that the connection reads.
_BETWEEN: Final = 0
_HEADERS: Final = 1
_BODY: Final = 2
_COMPLETE: Final = 3  # Until the end of the chunk with the last byte of the request.
_UPGRADING: Final = 4

# Lingering connections above the connection limit. Global, because uvicorn creates the objects.
_excess: "set[BoundedHttpProtocol]" = set()

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
    _slot: Slot | None = None  # None above a limit.
    _is_completing = False  # A response is complete, but the client has not read it.

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        table: ConnectionTable,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._table = table

    # -- The life of a connection --------------------------------------------

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._response_transport = ResponseTransport(transport, self._close_after_response)
        peer = get_remote_addr(transport)
        self._slot = self._table.open(self, peer[0] if peer else None)
        if self._slot is None:
            self.transport = transport
            self._reject_connection()
            return
        transport.set_write_buffer_limits(high=BUFFERED_BYTES_MAX, low=0)
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

    def give_way(self) -> Displaced:
        """Close the connection, which waits for its client, because a limit is reached."""
        if self.flow.write_paused:
            # Not at once: the transport may be writing.
            self.loop.call_soon(self.transport.abort)
            return "unread_response"
        is_idle = self._part == _BETWEEN
        if not is_idle and not self._is_lingering and self._can_reject():
            self.transport.write(reject("unavailable", self.server_state.default_headers))
        self._discards_input = True
        self.transport.close()
        return "idle" if is_idle else "slow_request"

    def unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def _can_reject(self) -> bool:
        """Return whether a response may still be sent for the incomplete request."""
        return self._part != _BODY or not (
            self._current is None or self._current.response_started or self.pipeline
        )

    def _update_wait(self) -> None:
        """Tell the table whether the connection waits for its client."""
        if self._slot is None:
            return
        if not self.flow.write_paused and self._has_complete_request():
            self._table.end_wait(self._slot)
        else:
            self._table.begin_wait(self._slot)

    def _has_complete_request(self) -> bool:
        """Return whether a complete request waits for its response."""
        if self._part != _BODY and self._is_busy():
            return True
        return any(not cycle.response_complete for cycle in self._earlier_requests)

    def _claim(self, actor: str) -> bool:
        return self._slot is None or self._table.claim(self._slot, actor)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        _excess.discard(self)
        if self._slot is not None:
            self._table.close(self._slot)
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
                self.transport.abort()
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
        self._update_wait()

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
        connection_owner.offer_claim(self.cycle, self._claim)
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
        is_ending = self._is_lingering or self.transport.is_closing()
        if self.flow.write_paused and not is_ending:
            self._is_completing = True  # Until the client has read the response.
            self.flow.pause_reading()
            return
        is_last = not self.pipeline
        super().on_response_complete()
        self._update_wait()
        is_ending = self._is_lingering or self.transport.is_closing()
        if is_last and self._pending_rejection is not None and not is_ending:
            self._send_final(self._pending_rejection)

    def _send_final(self, code: str) -> None:
        """Send the final response and close the connection."""
        self._pending_rejection = None
        self.transport.write(reject(code, self.server_state.default_headers))
        self.close_lingering()

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
        if self._slot is not None:
            self._table.begin_wait(self._slot)
            self._table.add_unread(self._slot, self.unsent_bytes())

    @override
    def resume_writing(self) -> None:
        self._write_deadline = None
        super().resume_writing()
        if self._slot is not None:
            self._table.remove_unread(self._slot)
        if self._is_completing:
            self._is_completing = False
            self.on_response_complete()
        else:
            self._update_wait()


def _is_chunked(headers: Headers) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = True
    cycle.message_event.set()
