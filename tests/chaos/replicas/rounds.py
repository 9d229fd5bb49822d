"""Run three replicas under load, with rounds of faults at random moments.

In each round one replica is killed and restarted, another is frozen for a while, and PostgreSQL
crashes. The clients and listeners never stop; nats-server and the clock are spared. At the end the
listeners get the time to receive the rest, and the checkers verify the result.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

from quorate.domain.shared.records import record
from quorate.eventlog.event_store import EventStore, LogCorrupted
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.rebuild import check
from tests.chaos.crash.clients import AcknowledgedCommand
from tests.chaos.crash.log_checker import check_log
from tests.chaos.replicas.clients import ScatteredClientPool
from tests.chaos.replicas.listeners import (
    EventListener,
    NatsListener,
    PollListener,
    StreamListener,
    client,
)
from tests.chaos.replicas.replica_checker import (
    ListenerResult,
    expected_for,
    held_by_two,
    wrongly_received,
)
from tests.e2e.service.http_clients import Operator
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.replicas import SERVE_MODULE, Replica, Replicas
from tests.e2e.service.service_process import StartFailed
from tests.support.postgres import PostgresServer

REPLICAS = 3
TENANT = "default"
WINDOW_SECONDS = 3.0
UNDER_LOAD_SECONDS = (0.2, 0.6)
FAULT_DELAY_SECONDS = (0.0, 1.0)  # From the start of a round to each fault.
DEAD_SECONDS = (0.1, 1.0)
START_ATTEMPTS_MAX = 20
WAIT_SECONDS_MAX = 30.0
LISTENING_AGENTS = 3
EVENTS_MAX = 10_000_000
SEQUENCE = attrgetter("sequence")


@record
class Result:
    """The result of all rounds."""

    commands: Sequence[AcknowledgedCommand]
    log: Sequence[RecordedEvent]  # Of the clients' tenant.
    listeners: Sequence[ListenerResult]
    recovery_seconds: Sequence[float]  # From the end of the faults to a response.
    damage: str | None  # Why the verification of the log failed.
    differences: int  # Between the projections and a rebuild of them.

    def findings(self) -> list[str]:
        return [
            *([self.damage] if self.damage else []),
            *([f"the projections differ in {self.differences} rows"] if self.differences else []),
            *check_log(self.commands, self.log),
            *held_by_two(self.commands, WINDOW_SECONDS),
            *(finding for one in self.listeners for finding in wrongly_received(one, self.log)),
        ]

    def figures(self) -> str:
        stamps = sorted(command.responded_at for command in self.commands)
        silence = max(later - earlier for earlier, later in pairwise(stamps))
        received = sum(len(one.received) for one in self.listeners)
        return (
            f"{len(self.recovery_seconds)} rounds, {len(self.commands)} acknowledged commands,"
            f" {len(self.log)} events, {received} received by {len(self.listeners)};"
            f" at most {silence:.1f} s without a response; first response"
            f" {max(self.recovery_seconds, default=0.0):.2f} s after the faults at most"
        )


class Rounds:
    """``program`` replaces the real service."""

    def __init__(
        self,
        directory: Path,
        server: PostgresServer,
        seed: int,
        *,
        frozen_seconds: float = 0.0,
        wait_seconds_max: float = WAIT_SECONDS_MAX,
        program: str = SERVE_MODULE,
    ) -> None:
        self._directory = directory
        self._server = server
        self._random = random.Random(seed)
        self._frozen_seconds = frozen_seconds
        self._wait_seconds_max = wait_seconds_max
        self._url = server.database_url()
        options = ("--heartbeat-window-seconds", str(WINDOW_SECONDS), "--log-level", "warning")
        self._replicas = Replicas(directory, self._url, REPLICAS, *options, program=program)
        self._one_by_one = program != SERVE_MODULE
        self._seed = seed
        self._recovery_seconds: list[float] = []
        self._listeners: list[EventListener] = []

    async def run(self, count: int, *, seconds: float = 0.0) -> Result:
        """Run ``count`` rounds, after ``seconds`` without faults."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self._replicas.end)
            await asyncio.to_thread(self._replicas.start, one_by_one=self._one_by_one)
            await self._listen(stack)
            pool = ScatteredClientPool(self._directory, self._seed, self._replicas.all)
            clients = asyncio.create_task(pool.work())
            await asyncio.sleep(seconds)
            for _ in range(count):
                await self._round(pool)
            pool.stopping = True
            await clients
            return await self._result(pool)

    async def _listen(self, stack: AsyncExitStack) -> None:
        """Start all listeners before the first command."""
        replicas = self._replicas.all
        http = await stack.enter_async_context(client())
        self._listeners = [
            StreamListener("the stream listener", replicas, http),
            PollListener("the poll listener", replicas, http),
        ]
        operator = Operator(replicas[0])
        for number in range(LISTENING_AGENTS):
            issued = await operator.issue(TENANT, "agent", f"agent{number:02}")
            over_nats = await NatsListener.connected(issued, replicas[0].nats_url)
            stack.push_async_callback(over_nats.close)
            self._listeners += [
                over_nats,
                StreamListener(f"agent{number:02}", replicas, http, issued.agent_id),
            ]
        await operator.close()
        for listener in self._listeners:
            running = asyncio.create_task(listener.run(), name=listener.name)
            stack.callback(running.cancel)

    # -- One round ---------------------------------------------------------------

    async def _round(self, pool: ScatteredClientPool) -> None:
        await asyncio.sleep(self._random.uniform(*UNDER_LOAD_SECONDS))
        killed, frozen, *_ = self._random.sample(self._replicas.all, REPLICAS)
        await asyncio.gather(
            self._at_random_moment(self._kill(killed)),
            self._at_random_moment(self._freeze(frozen)),
            self._at_random_moment(asyncio.to_thread(self._server.restart)),
        )
        pool.responded.clear()
        started = time.monotonic()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await pool.responded.wait()
        self._recovery_seconds.append(time.monotonic() - started)

    async def _at_random_moment(self, fault: Awaitable[None]) -> None:
        await asyncio.sleep(self._random.uniform(*FAULT_DELAY_SECONDS))
        await fault

    async def _kill(self, replica: Replica) -> None:
        """Kill and restart a replica; repeat the start while PostgreSQL is down."""
        await asyncio.to_thread(replica.kill)
        await asyncio.sleep(self._random.uniform(*DEAD_SECONDS))
        for _ in range(START_ATTEMPTS_MAX):
            with suppress(StartFailed):
                await asyncio.to_thread(replica.start)
                return
        raise AssertionError(f"the replica did not start: {replica.read_stderr()[-2_000:]}")

    async def _freeze(self, replica: Replica) -> None:
        replica.pause()
        try:
            await asyncio.sleep(self._frozen_seconds)
        finally:
            replica.resume()

    # -- Afterwards --------------------------------------------------------------

    async def _result(self, pool: ScatteredClientPool) -> Result:
        database = PostgresDatabase(self._url)
        await database.open()
        try:
            log = EventStore(database)
            head = await log.committed_head()
            rows = [row for row in await log.after(0, EVENTS_MAX) if row.position <= head]
            tenant_rows = sorted((row for row in rows if row.tenant == TENANT), key=SEQUENCE)
            listeners = await self._listener_results(tenant_rows)
            damage = await _damage(log, head)
            differences = 0 if damage else await self._differences(database)
        finally:
            await database.close()
        return Result(
            commands=pool.acknowledged(),
            log=tenant_rows,
            listeners=listeners,
            recovery_seconds=self._recovery_seconds,
            damage=damage,
            differences=differences,
        )

    async def _listener_results(self, log: Sequence[RecordedEvent]) -> Sequence[ListenerResult]:
        """Return the results of the listeners, after the whole log or a time limit."""
        head = log[-1].sequence

        def received() -> list[ListenerResult]:
            return [
                ListenerResult(
                    name=one.name,
                    received=[event for event in one.received if event.sequence <= head],
                    agent_id=one.agent_id,
                )
                for one in self._listeners
            ]

        lengths = [len(expected_for(one, log)) for one in received()]
        with suppress(TimeoutError):
            await wait_until(
                lambda: [len(one.received) for one in received()] >= lengths, self._wait_seconds_max
            )
        return received()

    async def _differences(self, live: PostgresDatabase) -> int:
        scratch = SqliteDatabase(self._directory / "scratch.db")
        await scratch.open()
        try:
            return (await check(live, scratch)).differences.count
        finally:
            await scratch.close()


async def _damage(log: EventStore, head: int) -> str | None:
    try:
        await log.verify_range(0, head)
    except LogCorrupted as error:
        return str(error)
    return None
