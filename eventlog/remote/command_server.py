"""The writer's end: execute the commands of other processes, and tell them of every commit.

* Commands of one process are taken in the order in which it sent them.
* A process hears of a commit before it gets the results of its commands in it.
* A process that has gone loses its results; its commands are executed all the same.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from quorate.eventlog.chores import Chore
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandFailed, Unavailable
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.remote.channel import Channel, encode
from quorate.eventlog.remote.messages import (
    ChoreRequest,
    CommandRequest,
    Commit,
    PackedEnvelope,
    Result,
    WriterState,
    unpack_envelope,
)
from quorate.eventlog.remote.sockets import SOCKET_MODE, short_path

STATE_SECONDS = 0.1  # How often the state of the writer is compared.
LEAVE_SECONDS_MAX = 3.5  # How long the writer waits for the others at the end.
_logger = structlog.get_logger(__name__)


class CommandServer:
    def __init__(self, command_bus: CommandBus, path: Path) -> None:
        self._command_bus = command_bus
        self._path = path
        self._channels: set[Channel] = set()
        self._server: asyncio.Server | None = None
        self._state = self._read_state()
        self._chores: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()

    async def start(self) -> None:
        """Accept connections in place of a writer that has ended."""
        self._path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        with short_path(self._path) as path:
            self._server = await loop.create_unix_server(self._create_channel, path)
            os.chmod(path, SOCKET_MODE)  # noqa: PTH101 - it may be a name of a descriptor.

    async def run(self) -> None:
        """Tell the other processes when the state of the writer changes, until cancelled."""
        while True:
            await asyncio.sleep(STATE_SECONDS)
            if (state := self._read_state()) != self._state:
                self._state = state
                self._send_all(encode(state))

    async def stop(self) -> None:
        """Wait until the other processes have left, then close; each drains its requests first."""
        if self._channels:
            self._left.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS_MAX):
                    await self._left.wait()
        if self._server is not None:
            self._server.close()
        for channel in list(self._channels):
            channel.abort()

    def send_commit(self, rows: Sequence[RecordedEvent]) -> None:
        if self._channels:
            self._send_all(encode(Commit(rows=tuple(rows))))

    def _send_all(self, encoded: bytes) -> None:
        for channel in self._channels:
            channel.send(encoded)

    def _read_state(self) -> WriterState:
        return WriterState(damage=self._command_bus.damage, failing=self._command_bus.failing)

    def _create_channel(self) -> Channel:
        return Channel(self._begin, self._receive, self._end)

    def _begin(self, channel: Channel) -> None:
        self._channels.add(channel)
        channel.send(encode(self._read_state()))

    def _end(self, channel: Channel) -> None:
        self._channels.discard(channel)
        if not self._channels:
            self._left.set()

    def _receive(self, channel: Channel, message: Any) -> None:  # noqa: ANN401 - a request.
        match message:
            case CommandRequest(number=number, command=command):
                self._execute(channel, number, command)
            case ChoreRequest(number=number, chore=chore):
                task = asyncio.create_task(self._run_chore(channel, number, chore))
                self._chores.add(task)
                task.add_done_callback(self._chores.discard)

    def _execute(self, channel: Channel, number: int, command: PackedEnvelope) -> None:
        try:
            future = self._command_bus.enqueue(unpack_envelope(command))
        except Unavailable as error:
            channel.send(encode(Result(number=number, error=error)))
        except Exception as error:  # Only this command fails.
            _logger.exception("command.not_unpacked")
            channel.send(encode(Result(number=number, error=CommandFailed(repr(error)))))
        else:
            future.add_done_callback(partial(_send_result, channel, number))

    async def _run_chore(self, channel: Channel, number: int, chore: Chore) -> None:
        try:
            result = Result(number=number, value=await self._command_bus.run_chore(chore))
        except Exception as error:  # noqa: BLE001 - the other process raises it.
            result = Result(number=number, error=Unavailable(str(error)))
        channel.send(encode(result))


def _send_result(channel: Channel, number: int, future: "asyncio.Future[Any]") -> None:
    if future.cancelled():
        result = Result(number=number, error=Unavailable("The log was closed"))
    elif (error := future.exception()) is None:
        result = Result(number=number, value=future.result())
    elif isinstance(error, Unavailable | CommandFailed):
        result = Result(number=number, error=error)
    else:
        result = Result(number=number, error=CommandFailed(str(error)))
    channel.send(encode(result))
