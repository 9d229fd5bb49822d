"""Does this process do its work, part by part, and can somebody tell within LOOK_SECONDS_MAX?

* Dead is: the log cannot be read, or must not be written. Then no command is taken here.
* Degraded is everything that commands do not wait for: NATS, the copy in JetStream, and hearing of
  what other processes commit. Whoever waits on this process then waits longer.
* So is a disk that takes no writes: were it dead, nobody would ask it for the next, which may work.
* The database is looked at by one task at a time, however many ask and however long it takes: with
  a database that hangs, nothing piles up here.
"""

import asyncio
from collections.abc import Mapping
from typing import Literal, Protocol

from quorate.application.readiness_state import State
from quorate.bus.outbox import jetstream_mirror
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import DatabaseUnavailable

LOOK_SECONDS_MAX = 1.5
UNHEARD_SECONDS_MAX = 5.0
_HALTED: Mapping[str, Literal["stopped", "unavailable"]] = {
    jetstream_mirror.STOPPED: "stopped",
    jetstream_mirror.UNAVAILABLE: "unavailable",
}


class Pushing(Protocol):
    def is_connected(self) -> bool: ...

    def mirror(self) -> str | None:
        """How the copy in JetStream stands, if this process is the one that makes it."""


class Readiness:
    def __init__(
        self, log: EventStore, door: CommandBus, push: Pushing, commits: CommitFeed
    ) -> None:
        self._log = log
        self._door = door
        self._push = push
        self._commits = commits
        self._looking: asyncio.Task[bool] | None = None

    async def look(self) -> State:
        return State(
            log=await self._log_state(),
            connected=self._push.is_connected(),
            mirror=_HALTED.get(self._push.mirror() or ""),
            hears=self._commits.seconds_unheard < UNHEARD_SECONDS_MAX,
            writes=not self._door.failing,
        )

    async def _log_state(self) -> Literal["ok", "damaged", "unavailable"]:
        if self._door.damage:
            return "damaged"
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = asyncio.create_task(self._read(), name="readiness")
        # Not asyncio.timeout: a read that hangs also hangs while it is being cancelled.
        done, _ = await asyncio.wait({looking}, timeout=LOOK_SECONDS_MAX)
        return "ok" if done and looking.result() else "unavailable"

    async def _read(self) -> bool:
        try:
            await self._log.committed_head()
        except DatabaseUnavailable:
            return False
        return True
