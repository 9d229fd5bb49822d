"""Messages between two processes of this machine, over a Unix socket.

* A message is pickled: both processes are of one installation and one user, and only that user can
  open the socket.
* What is sent in one turn of the event loop is written with one system call.
* A message has at most MESSAGE_BYTES_MAX. When the other process leaves UNSENT_BYTES_MAX unread,
  the connection is closed.
"""

import asyncio
import pickle
import struct
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import structlog

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
UNSENT_BYTES_MAX = 256 * 1024 * 1024
_LENGTH = struct.Struct("!I")
_logger = structlog.get_logger(__name__)
OnMessage: TypeAlias = Callable[["Channel", Any], None]
OnEnd: TypeAlias = Callable[["Channel"], None]


class TooLarge(Exception):
    """A message has more than MESSAGE_BYTES_MAX."""


def encode(message: Any) -> bytes:  # noqa: ANN401 - what pickle accepts.
    """Return a message as it is sent; raise TooLarge, or what pickle raises."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    if len(data) > MESSAGE_BYTES_MAX:
        raise TooLarge(f"A message of {len(data)} bytes; at most {MESSAGE_BYTES_MAX} are possible")
    return _LENGTH.pack(len(data)) + data


class Channel(asyncio.Protocol):
    """One end of a connection."""

    def __init__(self, on_start: OnEnd, on_message: OnMessage, on_end: OnEnd) -> None:
        self._on_start = on_start
        self._on_message = on_message
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._received = bytearray()

    def send(self, encoded: bytes) -> None:
        """Send a message with all others of this turn; do nothing after the end."""
        if self._transport is None:
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._write)
        self._unsent.append(encoded)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _write(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is None:
            return
        self._transport.write(b"".join(unsent))
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            _logger.error("process.does_not_read")
            self.abort()

    # -- asyncio.Protocol ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._on_start(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            for message in self._take_messages():
                self._on_message(self, message)
        except Exception:  # A bug, or another version of Quorate: the rest makes no sense.
            _logger.exception("message.not_understood")
            self.abort()

    def _take_messages(self) -> list[Any]:
        """Remove and return the complete messages; raise TooLarge, or what pickle raises."""
        received, begin, found = self._received, 0, []
        while len(received) - begin >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(received, begin)
            if length > MESSAGE_BYTES_MAX:
                raise TooLarge(f"{length} bytes")
            end = begin + _LENGTH.size + length
            if len(received) < end:
                break
            found.append(pickle.loads(received[begin + _LENGTH.size : end]))  # noqa: S301
            begin = end
        del received[:begin]
        return found

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._on_end(self)
