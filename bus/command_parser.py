"""Parse the protocol of nats-server on the connection that receives commands.

nats-py 2.16 builds an object, decodes headers and queues every message before any code of the
service runs. A message that is not wanted then costs as much as one that is executed. This parser
asks ``Admission`` at the first line of a message, before its payload is kept:

* A message that is not admitted is skipped as its bytes arrive. It costs about 2 us and no memory.
* A payload that is too large for any command is skipped as well, and so is a payload beyond the
  bytes that its sender may send. The message is passed on with an ``OmittedPayload``, so the sender
  gets a response.
* After a part of TURN_MESSAGES or more, the other tasks of the event loop get a turn. nats-py alone
  gives none while bytes are available.

The other lines of the protocol are parsed by nats-py.
"""

import asyncio
from enum import Enum, auto
from typing import Any, Protocol

from nats.errors import ProtocolError
from nats.protocol.parser import Parser

_SPACE = b" "  # nats-server separates the words of a line by one space, and no word contains one.
_WORDS = {b"MSG": (4, 5), b"HMSG": (5, 6)}  # Without and with a reply subject.
_LINE_END = b"\r\n"
_DOTS_OF_SENDER = 3  # "quorate.<tenant>.cmd.<agent>": then the operation follows.
TURN_MESSAGES = 16
LINE_BYTES_MAX = 16 * 1024  # nats-server ends a connection with a longer line.


class Verdict(Enum):
    PASS = auto()
    OMIT = auto()  # Pass the message on without its payload: its sender sends too many bytes.
    DROP = auto()


class Admission(Protocol):
    """Decides about each message by its subject and its size, before it is read."""

    payload_bytes_max: int
    headers_bytes_max: int

    def judge(self, subject: bytes, size: int) -> Verdict:
        """Count a message, and decide what becomes of it."""
        ...

    def drop(self, subject: bytes, size: int, count: int) -> None:
        """Count messages of the same sender that are dropped, of ``size`` bytes in all."""
        ...

    def end_turn(self) -> None:
        """Record what was counted; called after each part that was read."""
        ...


class OmittedPayload(bytes):
    """Stands for a payload that was not kept."""

    __slots__ = ()


TOO_LARGE, THROTTLED = OmittedPayload(b"too large"), OmittedPayload(b"throttled")


class CommandParser(Parser):
    """The parser of one client; ``client`` gets each admitted message."""

    def __init__(self, client: Any, admission: Admission, unread: bytes = b"") -> None:  # noqa: ANN401
        super().__init__(client)
        self._admission = admission
        self._unread = unread
        self._to_skip = 0
        self._verdict: Verdict | None = None  # About the message that is incomplete.

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
        verdict = self._verdict or self._admission.judge(subject, size)
        if verdict is Verdict.DROP:
            return self._skip_run(data, start, following, subject)
        with_reply, has_headers = len(words) == _WORDS[words[0]][1], words[0] == b"HMSG"
        message = int(words[2]), subject, words[3] if with_reply else b""
        headers_end = begin + (int(words[-2]) if has_headers else 0)
        omitted = self._omitted_payload(headers_end - begin, end - headers_end, verdict)
        needed = following if omitted is None else headers_end
        if headers_end - begin > self._admission.headers_bytes_max:
            needed = headers_end = begin
        self._verdict = verdict if len(data) < needed else None
        if self._verdict is not None:
            return start
        payload = data[headers_end:end] if omitted is None else omitted
        headers = data[begin:headers_end] or None
        await self.nc._process_msg(*message, payload, headers)  # noqa: SLF001
        return following

    def _omitted_payload(
        self, headers_size: int, payload_size: int, verdict: Verdict
    ) -> OmittedPayload | None:
        """Return what stands for the payload, or None if the payload is read."""
        admission = self._admission
        if payload_size > admission.payload_bytes_max or headers_size > admission.headers_bytes_max:
            return TOO_LARGE
        return THROTTLED if verdict is Verdict.OMIT else None

    def _skip_run(self, data: bytes, start: int, following: int, subject: bytes) -> int:
        """Skip the next messages as well, as long as they are of the sender of a dropped one.

        A flood is thus skipped at about 1 us per message; ``_handle`` needs 3 us.
        """
        sender = subject.rsplit(b".", subject.count(b".") - _DOTS_OF_SENDER)[0] + b"."
        prefix = data[start : data.index(_SPACE, start) + 1] + sender
        count, size = 0, 0
        while data.startswith(prefix, following):
            end = data.find(_LINE_END, following)
            if end < 0:
                break
            words_end = data.rfind(_SPACE, following, end)
            message_size = int(data[words_end + 1 : end])
            following = end + message_size + 2 * len(_LINE_END)
            count += 1
            size += message_size
        if count:
            self._admission.drop(subject, size, count)
        return following
