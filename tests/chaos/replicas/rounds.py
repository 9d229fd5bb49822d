"""Three replicas under load, and a round of trouble: one is killed and started again, another one
is frozen for a while, and PostgreSQL crashes, at moments that chance chooses.

The clients and those who listen never stop; nats-server and the clock are spared. At the end all
who listen get the time to hear the rest, and what is left is for the inquest.
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
from quorate.eventlog.event_store import EventStore, LogDamaged
from quorate.eventlog.postgres.database import PostgresBackend
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.sqlite.database import SqliteBackend
from quorate.projections.rebuild import check
from tests.chaos.crash.clients import Acknowledged
from tests.chaos.crash.log_checker import inquest
from tests.chaos.replicas.clients import ScatteredCrowd
from tests.chaos.replicas.listeners import Following, Hearer, OverNats, Polling, client
from tests.chaos.replicas.replica_checker import Listened, due_to, held_by_two, unheard
from tests.e2e.service.http_clients import Operator
from tests.e2e.service.nats_listener import until
from tests.e2e.service.replicas import SERVES, Replica, Replicas
from tests.e2e.service.service_process import DidNotStart
from tests.support.postgres import PostgresServer

REPLICAS = 3
TENANT = "default"
WINDOW_SECONDS = 3.0
UNDER_LOAD_SECONDS = (0.2, 0.6)
BEGINS_SECONDS = (0.0, 1.0)  # From the beginning of a round to each of its faults.
DEAD_SECONDS = (0.1, 1.0)
START_ATTEMPTS_MAX = 20
PATIENCE_SECONDS = 30.0
LISTENING_AGENTS = 3
EVENTS_MAX = 10_000_000
SEQUENCE = attrgetter("sequence")


@record
class Aftermath:
    """What is left when all is over."""

    answers: Sequence[Acknowledged]
    log: Sequence[RecordedEvent]  # Of the clients' tenant.
    listened: Sequence[Listened]
    recovery_seconds: Sequence[float]  # From the end of each round's faults to an answer.
    damage: str | None  # Why the log as a whole does not hold together.
    differences: int  # Between the projections and a rebuild of them.

    def findings(self) -> list[str]:
        return [
            *([self.damage] if self.damage else []),
            *([f"the projections differ in {self.differences} rows"] if self.differences else []),
            *inquest(self.answers, self.log),
            *held_by_two(self.answers, WINDOW_SECONDS),
            *(finding for one in self.listened for finding in unheard(one, self.log)),
        ]

    def figures(self) -> str:
        stamps = sorted(answer.answered_at for answer in self.answers)
        silence = max(later - earlier for earlier, later in pairwise(stamps))
        heard = sum(len(one.heard) for one in self.listened)
        return (
            f"{len(self.recovery_seconds)} rounds, {len(self.answers)} acknowledged commands,"
            f" {len(self.log)} events, {heard} heard by {len(self.listened)};"
            f" nobody was answered for {silence:.1f} s at the longest; answered"
            f" {max(self.recovery_seconds, default=0.0):.2f} s after the faults at the latest"
        )


class Rounds:
    """``program`` is run in the place of the real service."""

    def __init__(
        self,
        folder: Path,
        server: PostgresServer,
        seed: int,
        *,
        frozen_seconds: float = 0.0,
        patience_seconds: float = PATIENCE_SECONDS,
        program: str = SERVES,
    ) -> None:
        self._folder = folder
        self._server = server
        self._chance = random.Random(seed)
        self._frozen_seconds = frozen_seconds
        self._patience_seconds = patience_seconds
        self._url = server.database_url()
        options = ("--heartbeat-window-seconds", str(WINDOW_SECONDS), "--log-level", "warning")
        self._replicas = Replicas(folder, self._url, REPLICAS, *options, program=program)
        self._one_by_one = program != SERVES
        self._seed = seed
        self._recovery_seconds: list[float] = []
        self._hearers: list[Hearer] = []

    async def go(self, count: int, *, seconds: float = 0.0) -> Aftermath:
        """``count`` rounds, and before the first one ``seconds`` without any trouble."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, self._replicas.end)
            await asyncio.to_thread(self._replicas.start, one_by_one=self._one_by_one)
            await self._listen(stack)
            crowd = ScatteredCrowd(self._folder, self._seed, self._replicas.all)
            working = asyncio.create_task(crowd.work())
            await asyncio.sleep(seconds)
            for _ in range(count):
                await self._round(crowd)
            crowd.going_home = True
            await working
            return await self._aftermath(crowd)

    async def _listen(self, stack: AsyncExitStack) -> None:
        """All of them from before the first command on."""
        replicas = self._replicas.all
        http = await stack.enter_async_context(client())
        self._hearers = [
            Following("who follows", replicas, http),
            Polling("who polls", replicas, http),
        ]
        operator = Operator(replicas[0])
        for number in range(LISTENING_AGENTS):
            issued = await operator.issue(TENANT, "agent", f"agent{number:02}")
            over_nats = await OverNats.connected(issued, replicas[0].nats_url)
            stack.push_async_callback(over_nats.close)
            self._hearers += [
                over_nats,
                Following(f"agent{number:02}", replicas, http, issued.agent_id),
            ]
        await operator.close()
        for hearer in self._hearers:
            running = asyncio.create_task(hearer.run(), name=hearer.name)
            stack.callback(running.cancel)

    # -- One round ---------------------------------------------------------------

    async def _round(self, crowd: ScatteredCrowd) -> None:
        await asyncio.sleep(self._chance.uniform(*UNDER_LOAD_SECONDS))
        killed, frozen, *_ = self._chance.sample(self._replicas.all, REPLICAS)
        await asyncio.gather(
            self._soon(self._kill(killed)),
            self._soon(self._freeze(frozen)),
            self._soon(asyncio.to_thread(self._server.restart)),
        )
        crowd.answered.clear()
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await crowd.answered.wait()
        self._recovery_seconds.append(time.monotonic() - began)

    async def _soon(self, fault: Awaitable[None]) -> None:
        await asyncio.sleep(self._chance.uniform(*BEGINS_SECONDS))
        await fault

    async def _kill(self, replica: Replica) -> None:
        """It comes back; while PostgreSQL is away it gives up, and is started again."""
        await asyncio.to_thread(replica.kill)
        await asyncio.sleep(self._chance.uniform(*DEAD_SECONDS))
        for _ in range(START_ATTEMPTS_MAX):
            with suppress(DidNotStart):
                await asyncio.to_thread(replica.start)
                return
        raise AssertionError(f"it did not start: {replica.said()[-2_000:]}")

    async def _freeze(self, replica: Replica) -> None:
        replica.pause()
        try:
            await asyncio.sleep(self._frozen_seconds)
        finally:
            replica.resume()

    # -- Afterwards --------------------------------------------------------------

    async def _aftermath(self, crowd: ScatteredCrowd) -> Aftermath:
        backend = PostgresBackend(self._url)
        await backend.open()
        try:
            log = EventStore(backend)
            head = await log.committed_head()
            rows = [row for row in await log.after(0, EVENTS_MAX) if row.position <= head]
            ours = sorted((row for row in rows if row.tenant == TENANT), key=SEQUENCE)
            listened = await self._listened(ours)
            damage = await _damage(log, head)
            differences = 0 if damage else await self._differences(backend)
        finally:
            await backend.close()
        return Aftermath(
            answers=crowd.acknowledged(),
            log=ours,
            listened=listened,
            recovery_seconds=self._recovery_seconds,
            damage=damage,
            differences=differences,
        )

    async def _listened(self, log: Sequence[RecordedEvent]) -> Sequence[Listened]:
        """All of them, when they have heard of the whole log or had the time for it."""
        head = log[-1].sequence

        def heard() -> list[Listened]:
            return [
                Listened(
                    name=one.name,
                    heard=[told for told in one.heard if told.sequence <= head],
                    agent_id=one.agent_id,
                )
                for one in self._hearers
            ]

        lengths = [len(due_to(one, log)) for one in heard()]
        with suppress(TimeoutError):
            await until(
                lambda: [len(one.heard) for one in heard()] >= lengths, self._patience_seconds
            )
        return heard()

    async def _differences(self, live: PostgresBackend) -> int:
        scratch = SqliteBackend(self._folder / "scratch.db")
        await scratch.open()
        try:
            return (await check(live, scratch)).differences.count
        finally:
            await scratch.close()


async def _damage(log: EventStore, head: int) -> str | None:
    try:
        await log.check_range(0, head)
    except LogDamaged as damaged:
        return str(damaged)
    return None
