"""Readiness of this process, part by part, within CHECK_SECONDS_MAX.

* ``unavailable``: the log cannot be read, or must not be written. The process accepts no commands.
* ``degraded``: NATS, the JetStream mirror or the commit notifications of other processes fail.
  Commands do not depend on these, but long polls and streams of this process are slower.
* A disk that rejects writes also counts as degraded: as unavailable, the process would get no more
  requests, although the next write may succeed.
* A time of the log that differs from the clock is degraded too: the clock was set.
* One task at a time checks the database, however many requests wait for it. With a database that
  hangs, no tasks accumulate.
"""

import asyncio
from collections.abc import Mapping
from typing import Literal, Protocol

from quorate.application.readiness_state import ReadinessState
from quorate.bus.outbox import jetstream_mirror
from quorate.eventlog.commands import Commands
from quorate.eventlog.commit_feed import CommitFeed
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.clock import MonotonicClock

CHECK_SECONDS_MAX = 1.5
COMMIT_NOTIFICATION_AGE_SECONDS_MAX = 5.0
CLOCK_SECONDS_MAX = 5.0  # Of difference between the time of the log and the clock.
_MIRROR_FAILURES: Mapping[str, Literal["stopped", "unavailable"]] = {
    jetstream_mirror.STOPPED: "stopped",
    jetstream_mirror.UNAVAILABLE: "unavailable",
}


class NatsStatus(Protocol):
    def is_connected(self) -> bool: ...

    def mirror(self) -> str | None:
        """Return the state of the JetStream mirror if this process writes it, else None."""


class Readiness:
    def __init__(
        self,
        log: EventStore,
        command_bus: Commands,
        nats_service: NatsStatus,
        commits: CommitFeed,
        clock: MonotonicClock,
    ) -> None:
        self._log = log
        self._command_bus = command_bus
        self._nats_service = nats_service
        self._commits = commits
        self._clock = clock
        self._check: asyncio.Task[bool] | None = None

    async def check(self) -> ReadinessState:
        return ReadinessState(
            log=await self._log_state(),
            nats_connected=self._nats_service.is_connected(),
            mirror=_MIRROR_FAILURES.get(self._nats_service.mirror() or ""),
            receives_commits=self._commits.notification_age_seconds
            < COMMIT_NOTIFICATION_AGE_SECONDS_MAX,
            writes=not self._command_bus.failing,
            clock=self._clock_state(),
        )

    def _clock_state(self) -> Literal["ahead", "behind"] | None:
        ahead = self._clock.seconds_ahead
        if abs(ahead) <= CLOCK_SECONDS_MAX:
            return None
        return "ahead" if ahead > 0 else "behind"

    async def _log_state(self) -> Literal["ok", "damaged", "unavailable"]:
        if self._command_bus.damage:
            return "damaged"
        check = self._check
        if check is None or check.done():
            check = self._check = asyncio.create_task(self._read(), name="readiness")
        # Not asyncio.timeout: a read that hangs also hangs while it is cancelled.
        done, _ = await asyncio.wait({check}, timeout=CHECK_SECONDS_MAX)
        return "ok" if done and check.result() else "unavailable"

    async def _read(self) -> bool:
        try:
            await self._log.committed_head()
        except DatabaseUnavailable:
            return False
        return True
