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

from quorate.bus import mirror
from quorate.domain.record import record
from quorate.eventlog.commits import Commits
from quorate.eventlog.door import Door
from quorate.eventlog.log import EventLog
from quorate.eventlog.session import Broken

LOOK_SECONDS_MAX = 1.5
UNHEARD_SECONDS_MAX = 5.0
_HALTED: Mapping[str, Literal["stopped", "unavailable"]] = {
    mirror.STOPPED: "stopped",
    mirror.UNAVAILABLE: "unavailable",
}


class Pushing(Protocol):
    def is_connected(self) -> bool: ...

    def mirror(self) -> str | None:
        """How the copy in JetStream stands, if this process is the one that makes it."""


@record
class State:
    log: Literal["ok", "damaged", "unavailable"]
    connected: bool
    mirror: Literal["stopped", "unavailable"] | None
    hears: bool
    writes: bool = True

    @property
    def status(self) -> Literal["ready", "degraded", "unavailable"]:
        if self.log != "ok":
            return "unavailable"
        well = self.connected and self.mirror is None and self.hears and self.writes
        return "ready" if well else "degraded"


class Readiness:
    def __init__(self, log: EventLog, door: Door, push: Pushing, commits: Commits) -> None:
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
        except Broken:
            return False
        return True
