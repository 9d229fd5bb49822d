"""The other end: hand commands to the writer process, and get their results and all commits.

* Commands keep their order. Those of one turn of the event loop travel together.
* The writer may end at any moment, and another takes its place. What was not sent yet waits for it.
  A command with an idempotency key is sent again, and is executed once; another one that was sent
  raises Unavailable: it may have been executed.
* A command waits at most WRITER_SECONDS_MAX for a writer. At most WAITING_MAX wait for results.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import structlog

from quorate.domain.shared.records import record
from quorate.eventlog.chores import Chore
from quorate.eventlog.command_queue import QUEUE_COMMANDS_MAX
from quorate.eventlog.envelopes import CommandEnvelope, CommandFailed, CommandResult, Unavailable
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.remote.channel import Channel, encode
from quorate.eventlog.remote.messages import (
    ChoreRequest,
    CommandRequest,
    Commit,
    Result,
    WriterState,
    pack_envelope,
)
from quorate.eventlog.remote.sockets import short_path

WAITING_MAX = QUEUE_COMMANDS_MAX
WRITER_SECONDS_MAX = 3.0
CONNECT_PAUSE_SECONDS = 0.01
_logger = structlog.get_logger(__name__)


@record
class _Sent:
    """A request without a result; ``is_repeatable`` says that it may be sent again."""

    encoded: bytes
    future: "asyncio.Future[Any]"
    is_repeatable: bool


class RemoteCommandBus:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.on_commit: Callable[[Sequence[RecordedEvent]], None] = lambda _rows: None
        self._numbers = itertools.count()
        self._requests: dict[int, _Sent] = {}  # Sent, or waiting for a writer, in their order.
        self._channel: Channel | None = None
        self._ended = asyncio.Event()  # The connection; another one is needed.
        self._is_closed = False
        self._without_writer_since: float | None = None
        self.connected = asyncio.Event()  # The writer said how it is.
        self._state = WriterState(damage=None, failing=False)

    @property
    def damage(self) -> str | None:
        return self._state.damage

    @property
    def failing(self) -> bool:
        return self._state.failing or self._channel is None

    @property
    def waiting(self) -> int:
        return len(self._requests)

    async def submit(self, envelope: CommandEnvelope) -> CommandResult:
        number = next(self._numbers)
        try:
            request = CommandRequest(number=number, command=pack_envelope(envelope))
            encoded = encode(request)
        except Exception as error:
            name = type(envelope.command).__name__
            _logger.exception("command.not_sent", command=name)
            raise CommandFailed(f"{name} failed") from error
        is_repeatable = envelope.idempotency is not None
        result: CommandResult = await self._request(number, encoded, is_repeatable=is_repeatable)
        return result

    async def run_chore(self, chore: Chore) -> Any:  # noqa: ANN401 - what the chore returns.
        number = next(self._numbers)
        encoded = encode(ChoreRequest(number=number, chore=chore))
        return await self._request(number, encoded, is_repeatable=False)

    async def _request(self, number: int, encoded: bytes, *, is_repeatable: bool) -> Any:  # noqa: ANN401
        if self._is_closed or len(self._requests) >= WAITING_MAX:
            raise Unavailable("The command queue is full or closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sent = _Sent(encoded=encoded, future=future, is_repeatable=is_repeatable)
        self._requests[number] = sent
        if self._channel is not None:
            self._channel.send(encoded)
        return await future

    async def run(self) -> NoReturn:
        """Stay connected to the writer, until cancelled."""
        loop = asyncio.get_running_loop()
        self._without_writer_since = loop.time()
        while True:
            with suppress(OSError), short_path(self._path) as path:
                self._ended.clear()
                await loop.create_unix_connection(self._create_channel, path)
                await self._ended.wait()
            self._reject_late(loop.time())
            await asyncio.sleep(CONNECT_PAUSE_SECONDS)

    async def close(self) -> None:
        """Reject what waits; callers have had their time."""
        self._is_closed = True
        if self._channel is not None:
            self._channel.abort()
        self._reject(list(self._requests), "The service stops")

    def _create_channel(self) -> Channel:
        return Channel(self._begin, self._receive, self._end)

    def _begin(self, channel: Channel) -> None:
        """Send what waits: it was not sent before, or may be sent again."""
        self._channel, self._without_writer_since = channel, None
        for request in self._requests.values():
            channel.send(request.encoded)

    def _end(self, _channel: Channel) -> None:
        if not self._is_closed:
            _logger.warning("writer.lost", commands=len(self._requests))
        self._channel = None
        self._without_writer_since = asyncio.get_running_loop().time()
        lost = [number for number, one in self._requests.items() if not one.is_repeatable]
        self._reject(lost, "The process that writes the log has ended")
        self._ended.set()

    def _reject_late(self, now: float) -> None:
        """Reject what waits while there has been no writer for too long."""
        since = self._without_writer_since
        if since is not None and now - since > WRITER_SECONDS_MAX:
            self._reject(list(self._requests), "The process that writes the log is not running")

    def _reject(self, numbers: Sequence[int], reason: str) -> None:
        for number in numbers:
            future = self._requests.pop(number).future
            if not future.done():
                future.set_exception(Unavailable(reason))

    def _receive(self, _channel: Channel, message: Any) -> None:  # noqa: ANN401 - see below.
        match message:
            case Result(number=number):
                self._finish(number, message)
            case Commit(rows=rows):
                self._tell(rows)
            case WriterState():
                self._state = message
                self.connected.set()

    def _tell(self, rows: Sequence[RecordedEvent]) -> None:
        """A listener that raises must not hold back the results that follow."""
        try:
            self.on_commit(rows)
        except Exception:
            _logger.exception("commit_listener.failed", events=len(rows))

    def _finish(self, number: int, result: Result) -> None:
        request = self._requests.pop(number, None)
        if request is None or request.future.done():
            return
        if result.error is None:
            request.future.set_result(result.value)
        else:
            request.future.set_exception(result.error)
