"""How the commands of this process reach the log: here, or through the process that writes it."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry

from quorate.application.tracing import Tracing
from quorate.domain.shared.records import record
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.commands import Commands
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.database import Schema
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.metrics import CommandMetrics
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.remote.command_bus import RemoteCommandBus
from quorate.eventlog.remote.command_server import CommandServer
from quorate.eventlog.shared_clock import SharedClock
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.state_store import SqlStateStore
from quorate.runtime.clock import MonotonicClock
from quorate.runtime.process_lock import Locked
from quorate.server.log_checks import verify_tail
from quorate.server.options import Options

LOCK_SECONDS = 0.01  # How often a writer that waits tries to lock the log.


@record
class CommandFlow:
    """``command_bus`` is None if another process writes, ``server`` if none sends commands."""

    commands: Commands
    command_bus: CommandBus | None = None
    server: CommandServer | None = None

    async def open(self, log: EventStore, stack: AsyncExitStack) -> None:
        """Take commands until the end of the stack; those of other processes end first."""
        if self.command_bus is None:
            return
        await verify_tail(log, self.command_bus)
        self.command_bus.open()
        stack.push_async_callback(self.command_bus.close)
        if self.server is not None:
            await self.server.start()
            stack.push_async_callback(self.server.stop)

    @property
    def tasks(self) -> dict[str, Coroutine[None, None, None]]:
        return {} if self.server is None else {"command server": self.server.run()}


async def open_log(
    log: EventStore, schema: Schema, options: Options, on_standby: Callable[[], None]
) -> None:
    """Open the log. A writer beside others waits until it is the only one that has opened it."""
    if not (options.role.writes and options.role.is_part):
        await log.open(schema)
        return
    assert isinstance(log.database, SqliteDatabase)
    is_waiting = False
    while True:
        try:
            await log.open(schema)
        except Locked:
            if not is_waiting:
                is_waiting = True
                on_standby()
            await _wait_until_unlocked(log.database.path)
        else:
            return


async def _wait_until_unlocked(path: Path) -> None:
    """Return when no process has locked the file, which another one may do again."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            await asyncio.sleep(LOCK_SECONDS)
    finally:
        os.close(descriptor)


def create_command_flow(
    log: EventStore,
    options: Options,
    clock: MonotonicClock,
    new_id: Uuid7,
    remote: RemoteCommandBus | None,
    *,
    commits: CommitFeed,
    tracing: Tracing | None,
    registry: CollectorRegistry,
) -> CommandFlow:
    if remote is not None:

        def deliver(rows: Sequence[RecordedEvent]) -> None:
            clock.advance_to(rows[-1].at)
            commits.record_commit(rows)

        remote.on_commit = deliver
        return CommandFlow(commands=remote)
    listeners: list[Callable[[Sequence[RecordedEvent]], None]] = [commits.record_commit]

    def tell(rows: Sequence[RecordedEvent]) -> None:
        for listener in listeners:
            listener(rows)

    command_bus = CommandBus(
        log,
        SqlStateStore(log.database),
        clock=clock,
        new_id=new_id,
        window_seconds=options.window_seconds,
        on_commit=tell,
        on_batch=tracing.record_commit if tracing is not None else None,
        quotas=options.quotas,
        shared_clock=SharedClock(clock),
        age_clock=clock.cautious,
        metrics=CommandMetrics(registry),
    )
    if not options.role.is_part:
        return CommandFlow(commands=command_bus, command_bus=command_bus)
    server = CommandServer(command_bus, options.command_socket)
    listeners.append(server.send_commit)
    return CommandFlow(commands=command_bus, command_bus=command_bus, server=server)
