"""Close a connection so that the client can read the last response.

A server that closes a connection with unread input resets it. A client that still sends its request
then fails before it reads the response (RFC 9112, section 9.6).

* A lingering close sends the end of the stream, discards the input, and then closes. It ends when
  the client closes, or after DISCARD_BYTES_MAX, or after DISCARD_SECONDS_MAX.
* A response that precedes the end of the body closes the connection, unless the length of the body
  is known and within DISCARD_BYTES_MAX. Then the next request can follow the body.
* Discarded bytes are not stored. They are never read as a request.
* A request sees a ``ResponseTransport``, because uvicorn closes the transport after a response with
  "Connection: close".
"""

import asyncio
from collections.abc import Callable, Iterable

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from quorate.runtime.asgi import Headers

DISCARD_BYTES_MAX = 32 * 1024 * 1024
DISCARD_SECONDS_MAX = 5.0


class LingeringCloseProtocol(HttpToolsProtocol):
    _timer: asyncio.TimerHandle | None = None
    _discards_input = False
    _discarded_bytes = 0
    _is_lingering = False
    _persists_after_body = False  # Until then, a response closes the connection.

    def close_lingering(self) -> None:
        """Send the end of the stream, and close after the client or at a limit."""
        if self._is_lingering or self.transport.is_closing():
            return
        self._discards_input = self._is_lingering = True
        self.pipeline.clear()
        self._unset_keepalive_if_required()
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        if self.flow is not None:  # None above the connection limit.
            self.flow.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(DISCARD_SECONDS_MAX, self.transport.abort)

    def discard(self, data: bytes) -> None:
        """Count input that is not read as a request; stop reading at the limit."""
        self._discarded_bytes += len(data)
        if self._discarded_bytes <= DISCARD_BYTES_MAX:
            return
        if self._is_lingering:
            self.transport.close()
        else:
            self.flow.pause_reading()  # Responses to earlier requests are pending.

    def expect_body(self) -> None:
        """Let a response before the end of the body close the connection, if it must."""
        cycle = self.cycle
        if cycle.keep_alive and not cycle.response_started and not _is_discardable(self.headers):
            self._persists_after_body = True
            cycle.keep_alive = False

    def end_body(self) -> None:
        """Let the connection persist, because the complete body has arrived."""
        if self._persists_after_body:
            self._persists_after_body = False
            self.cycle.keep_alive = not self.cycle.response_started

    @override
    def shutdown(self) -> None:
        self._persists_after_body = False
        super().shutdown()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_lingering:  # It has its own timer.
            self._unset_keepalive_if_required()
        elif self.cycle.response_complete:
            self.cycle.body = bytearray()  # An idle connection keeps its last request.


class ResponseTransport(asyncio.Transport):
    """The transport of a connection as its requests see it, with another way to close."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._close = close

    def detach(self) -> None:
        """Release the connection, which refers to its last request."""
        self._close = self._transport.close

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(data)

    @override
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self._transport.writelines(list_of_data)

    @override
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    @override
    def close(self) -> None:
        self._close()


def _is_discardable(headers: Headers) -> bool:
    """Return whether the body certainly follows and is within DISCARD_BYTES_MAX."""
    length = DISCARD_BYTES_MAX + 1  # Of a chunked body.
    for name, value in headers:
        if name == b"expect":  # The client omits the body after an error.
            return False
        if name == b"content-length":
            length = int(value)
    return length <= DISCARD_BYTES_MAX
