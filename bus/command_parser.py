"""Parse the protocol of nats-server on the connection that receives commands.

nats-py 2.16 builds an object, decodes headers and queues every message before any code of the
service runs. A message that is not wanted then costs as much as one that is executed. This parser
asks ``Admission`` at the first line of a message, before its payload is kept:

* A message that is not admitted is skipped as its bytes arrive. It costs about 2 us and no memory.
* A payload that is too large for any command is skipped as well. The message is passed on with an
  ``OmittedPayload``, so the sender gets the same response as for other requests that are too large.
* After a part of TURN_MESSAGES or more, the other tasks of the event loop get a turn. nats-py alone
  gives none while bytes are available.

The other lines of the protocol are parsed by nats-py.
"""

import asyncio
from typing import Any, Protocol

from nats.errors import ProtocolError
from nats.protocol.parser import Parser

_SPACE = b" "  # nats-server separates the words of a line by one space, and no word contains one.
_WORDS = {b"MSG": (4, 5), b"HMSG": (5, 6)}  # Without and with a reply subject.
_LINE_END = b"\r\n"
TURN_MESSAGES = 16
LINE_BYTES_MAX = 16 * 1024  # nats-server ends a connection with a longer line.


class Admission(Protocol):
    """Decides about each message by its subject and its size, before it is read."""

    payload_bytes_max: int
    headers_bytes_max: int

    def admits(self, subject: bytes, size: int) -> bool:
        """Count a message; False: skip it."""
        ...

    def end_turn(self) -> None:
        """Record what was counted; called after each part that was read."""
        ...


class OmittedPayload(bytes):
    """Stands for a payload that is too large and was not kept."""

    __slots__ = ()


OMITTED = OmittedPayload()


class CommandParser(Parser):
    """The parser of one client; ``client`` gets each admitted message."""

    def __init__(self, client: Any, admission: Admission, unread: bytes = b"") -> None:  # noqa: ANN401
        super().__init__(client)
        self._admission = admission
        self._unread = unread
        self._to_skip = 0
        self._is_admitted = False  # The message whose payload is incomplete.

    async def parse(self, data: bytes = b"") -> None:
        """Handle what is complete, and keep the rest until more bytes arrive."""
        if self._to_skip >= len(data):
            self._to_skip -= len(data)
            return
        start, self._to_skip = self._to_skip, 0
        if self._unread:
            data, self._unread = self._unread + data, b""
        handled = 0
        while start < len(data):
            following = await self._handle(data, start)
            if following == start:
                break
            start = following
            handled += 1
        self._admission.end_turn()
        self._to_skip = max(0, start - len(data))
        self._unread = data[start:]
        if handled >= TURN_MESSAGES:
            await asyncio.sleep(0)

    async def _handle(self, data: bytes, start: int) -> int:
        """Handle the message or other line at ``start``; return the position after it.

        The position may be beyond the data: the bytes up to there are skipped when they arrive.
        Returns ``start`` when bytes are missing.
        """
        begin = data.find(_LINE_END, start)
        if begin < 0:
            if len(data) - start > LINE_BYTES_MAX:
                raise ProtocolError
            return start
        words = data[start:begin].split(_SPACE)
        begin += len(_LINE_END)
        if len(words) not in _WORDS.get(words[0], ()):
            await super().parse(data[start:begin])
            return begin
        subject, size = words[1], int(words[-1])
        end = begin + size
        following = end + len(_LINE_END)
        if not (self._is_admitted or self._admission.admits(subject, size)):
            return following
        with_reply, has_headers = len(words) == _WORDS[words[0]][1], words[0] == b"HMSG"
        message = int(words[2]), subject, words[3] if with_reply else b""
        headers_size = int(words[-2]) if has_headers else 0
        if self._is_too_large(headers_size, size - headers_size):
            await self.nc._process_msg(*message, OMITTED, None)  # noqa: SLF001
            return following
        self._is_admitted = len(data) < following
        if self._is_admitted:
            return start
        payload = begin + headers_size
        headers = data[begin:payload] or None
        await self.nc._process_msg(*message, data[payload:end], headers)  # noqa: SLF001
        return following

    def _is_too_large(self, headers_size: int, payload_size: int) -> bool:
        admission = self._admission
        return (
            payload_size > admission.payload_bytes_max or headers_size > admission.headers_bytes_max
        )
