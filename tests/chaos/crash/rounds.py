"""Load, and a service that is killed under it again and again, on one data folder.

Killed is the whole process tree, without warning. Most rounds are struck while the service works,
some while it is still starting. The clients never stop asking.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import quantiles

from quorate.domain.shared.records import record
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.sqlite.database import SqliteBackend
from quorate.eventlog.sqlite.snapshot import SqliteSnapshot
from quorate.projections.rebuild import check
from tests.chaos.crash.clients import Acknowledged, Crowd
from tests.e2e.service.service_process import DidNotStart, Running

WINDOW_SECONDS = "3"
UNDER_LOAD_SECONDS = (0.02, 0.6)
STARTING_SECONDS = (0.05, 0.8)
STARTING_EVERY = 4  # One round in so many is struck while the service starts.
FIRST_ANSWER_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.005
EVENTS_MAX = 10_000_000


@record
class Aftermath:
    """What is left when all is over."""

    answers: Sequence[Acknowledged]
    events: Sequence[RecordedEvent]  # Of the clients' tenant.
    restart_seconds: Sequence[float]
    differences: int  # Between the projections and a rebuild of them.
    lapses: int

    def figures(self) -> str:
        times = sorted(self.restart_seconds)
        median = quantiles(times, n=2)[0] if len(times) > 1 else times[0]
        return (
            f"{len(times)} restarts, {len(self.answers)} acknowledged commands checked against "
            f"{len(self.events)} events; first answer after {median:.2f} s (median), "
            f"{times[-1]:.2f} s (longest); {self.lapses} lapses"
        )


class Rounds:
    """One service, one crowd of clients, as many crashes as are wanted."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._running = Running(
            folder / "data", "--heartbeat-window-seconds", WINDOW_SECONDS, "--log-level", "error"
        )
        self._folder = folder
        self._seed = seed
        self.restart_seconds: list[float] = []

    async def go(self, count: int) -> Aftermath:
        await self._start()
        try:
            crowd = Crowd(self._folder, self._running.api_key, self._seed)
            crowd.url = self._running.url
            working = asyncio.create_task(crowd.work())
            await self._first_answer(crowd, working)
            for number in range(1, count + 1):
                await self._crash(number)
                await self._recover(crowd, working)
            crowd.going_home = True
            await working
            await asyncio.to_thread(self._running.stop)
        finally:
            self._running.kill()
        return await self._aftermath(crowd)

    async def _start(self) -> None:
        await asyncio.to_thread(self._running.start)

    # -- One round -------------------------------------------------------------

    async def _crash(self, number: int) -> None:
        await asyncio.sleep(self._chance.uniform(*UNDER_LOAD_SECONDS))
        await asyncio.to_thread(self._running.kill)
        if number % STARTING_EVERY == 0:
            await self._crash_while_it_starts()

    async def _crash_while_it_starts(self) -> None:
        starting = asyncio.create_task(self._start())
        await asyncio.sleep(self._chance.uniform(*STARTING_SECONDS))
        with suppress(AssertionError):  # It has not even been spawned, or is ready and ours.
            self._strike()
        with suppress(DidNotStart):
            await starting
        await asyncio.to_thread(self._running.kill)

    def _strike(self) -> None:
        """The same as ``kill``, at a process that somebody waits for."""
        for pid in (self._running.pid, *self._running.nats_servers()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _recover(self, crowd: Crowd, working: "asyncio.Task[None]") -> None:
        """Start on the same folder; the clock stops when a client's command is acknowledged."""
        crowd.answered.clear()
        began = time.monotonic()
        await self._start()
        crowd.url = self._running.url
        await self._first_answer(crowd, working)
        self.restart_seconds.append(time.monotonic() - began)

    async def _first_answer(self, crowd: Crowd, working: "asyncio.Task[None]") -> None:
        answered = asyncio.create_task(crowd.answered.wait())
        await asyncio.wait(
            [answered, working],
            timeout=FIRST_ANSWER_SECONDS_MAX,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if working.done():
            working.result()
        assert answered.done(), f"nobody was answered: {self._running.said()[-2_000:]}"

    # -- Afterwards ------------------------------------------------------------

    async def _aftermath(self, crowd: Crowd) -> Aftermath:
        live = SqliteSnapshot(self._running.database)
        scratch = SqliteBackend(self._folder / "scratch.db")
        log = EventStore(live)
        await live.open()
        try:
            await scratch.open()
            await log.check_range(0, await log.committed_head())
            events = await log.after(0, limit=EVENTS_MAX)
            checked = await check(live, scratch)
        finally:
            await live.close()
            await scratch.close()
        ours = [event for event in events if event.tenant == "default"]
        return Aftermath(
            answers=crowd.acknowledged(),
            events=ours,
            restart_seconds=self.restart_seconds,
            differences=checked.differences.count,
            lapses=sum(event.type == "AgentLapsed" for event in ours),
        )
