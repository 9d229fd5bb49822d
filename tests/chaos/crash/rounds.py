"""Run load, and kill the service again and again, on one data directory.

The whole process tree is killed without warning, mostly under load and sometimes during a start.
The clients never stop sending commands.
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
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.sqlite.snapshot import SqliteSnapshot
from quorate.projections.rebuild import check
from quorate.runtime.process_lock import lock_owner
from tests.chaos.crash.clients import AcknowledgedCommand, ClientPool
from tests.e2e.service.service_process import ServiceProcess, StartFailed

WINDOW_SECONDS = "3"
UNDER_LOAD_SECONDS = (0.02, 0.6)
STARTING_SECONDS = (0.05, 0.8)
STARTING_EVERY = 4  # Every STARTING_EVERY-th round also kills the service during a start.
FIRST_RESPONSE_SECONDS_MAX = 30.0
EVENTS_MAX = 10_000_000
WORKERS = 2


@record
class Result:
    """The result of all rounds."""

    commands: Sequence[AcknowledgedCommand]
    events: Sequence[RecordedEvent]  # Of the clients' tenant.
    restart_seconds: Sequence[float]
    differences: int  # Between the projections and a rebuild of them.
    timeouts: int

    def figures(self) -> str:
        times = sorted(self.restart_seconds)
        median = quantiles(times, n=2)[0] if len(times) > 1 else times[0]
        return (
            f"{len(times)} restarts, {len(self.commands)} acknowledged commands comparison against "
            f"{len(self.events)} events; first command after {median:.2f} s (median), "
            f"{times[-1]:.2f} s (longest); {self.timeouts} agent timeouts"
        )


class Rounds:
    """One service, one pool of clients, and a number of crashes."""

    def __init__(self, directory: Path, seed: int, *options: str) -> None:
        self._random = random.Random(seed)
        self._running = ServiceProcess(
            directory / "data",
            *("--heartbeat-window-seconds", WINDOW_SECONDS, "--log-level", "error", *options),
            executed=True,  # It is also killed while it starts.
        )
        self._directory = directory
        self._seed = seed
        self.restart_seconds: list[float] = []

    async def run(self, count: int) -> Result:
        await self._start()
        try:
            pool = ClientPool(self._directory, self._running.api_key, self._seed)
            pool.url = self._running.url
            clients = asyncio.create_task(pool.work())
            await self._first_response(pool, clients)
            for number in range(1, count + 1):
                await self._crash(number)
                await self._recover(pool, clients)
            pool.stopping = True
            await clients
            await asyncio.to_thread(self._running.stop)
        finally:
            self._running.kill()
        return await self._result(pool)

    async def _start(self) -> None:
        await asyncio.to_thread(self._running.start)

    # -- One round -------------------------------------------------------------

    async def _crash(self, number: int) -> None:
        await asyncio.sleep(self._random.uniform(*UNDER_LOAD_SECONDS))
        await asyncio.to_thread(self._running.kill)
        if number % STARTING_EVERY == 0:
            await self._crash_during_start()

    async def _crash_during_start(self) -> None:
        starting = asyncio.create_task(self._start())
        await asyncio.sleep(self._random.uniform(*STARTING_SECONDS))
        with suppress(AssertionError):  # The process is not spawned yet, or is ready already.
            self._kill_processes()
        with suppress(StartFailed):
            await starting
        await asyncio.to_thread(self._running.kill)

    def _kill_processes(self) -> None:
        """Kill the process tree while another task waits for the process."""
        for pid in (self._running.pid, *self._running.nats_servers()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _recover(self, pool: ClientPool, clients: "asyncio.Task[None]") -> None:
        """Start again, and measure the time until a command is acknowledged."""
        pool.responded.clear()
        started = time.monotonic()
        await self._start()
        pool.url = self._running.url
        await self._first_response(pool, clients)
        self.restart_seconds.append(time.monotonic() - started)

    async def _first_response(self, pool: ClientPool, clients: "asyncio.Task[None]") -> None:
        responded = asyncio.create_task(pool.responded.wait())
        await asyncio.wait(
            [responded, clients],
            timeout=FIRST_RESPONSE_SECONDS_MAX,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if clients.done():
            clients.result()
        assert responded.done(), f"no client got a response: {self._running.read_stderr()[-2_000:]}"

    # -- Afterwards ------------------------------------------------------------

    async def _result(self, pool: ClientPool) -> Result:
        snapshot = SqliteSnapshot(self._running.database)
        scratch = SqliteDatabase(self._directory / "scratch.db")
        log = EventStore(snapshot)
        await snapshot.open()
        try:
            await scratch.open()
            await log.verify_range(0, await log.committed_head())
            events = await log.after(0, limit=EVENTS_MAX)
            comparison = await check(snapshot, scratch)
        finally:
            await snapshot.close()
            await scratch.close()
        tenant_events = [event for event in events if event.tenant == "default"]
        return Result(
            commands=pool.acknowledged(),
            events=tenant_events,
            restart_seconds=self.restart_seconds,
            differences=comparison.differences.count,
            timeouts=sum(event.type == "AgentLapsed" for event in tenant_events),
        )


class ProcessRounds(Rounds):
    """The service has several processes, and one of them is killed in each round."""

    def __init__(self, directory: Path, seed: int) -> None:
        super().__init__(directory, seed, "--workers", str(WORKERS))

    async def _crash(self, number: int) -> None:
        del number
        await asyncio.sleep(self._random.uniform(*UNDER_LOAD_SECONDS))
        pid = self._random.choice(self._workers())
        with suppress(ProcessLookupError):  # It has just ended.
            os.kill(pid, signal.SIGKILL)

    async def _recover(self, pool: ClientPool, clients: "asyncio.Task[None]") -> None:
        """Measure the time until a command is acknowledged."""
        pool.responded.clear()
        started = time.monotonic()
        await self._first_response(pool, clients)
        self.restart_seconds.append(time.monotonic() - started)

    def _workers(self) -> Sequence[int]:
        """Return the processes one of which is killed."""
        return self._running.workers()


class WriterRounds(ProcessRounds):
    """Always the process that writes is killed."""

    def _workers(self) -> Sequence[int]:
        descriptor = os.open(self._running.database, os.O_RDONLY)
        try:
            owner = lock_owner(descriptor)
        finally:
            os.close(descriptor)
        return [owner] if owner is not None else super()._workers()
