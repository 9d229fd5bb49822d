"""A fleet of agents on one service, and everything that happens to both.

While the agents contend, nats-server is killed, the whole service is killed and started again on
its folder and its ports, and one agent is stopped until others had its contact. Then the faults
end; each agent proves that it works, hears the rest, and goes home. What is left is for the
inquest.
"""

import asyncio
import os
import random
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx2

from quorate.domain.shared.records import record
from tests.chaos.fleet.diary import Ended, Entry, Failed, Heard, Held, Recovered, diaries, now, read
from tests.chaos.fleet.fleet_checker import ENDS, Due, Papers, Stopped, of
from tests.chaos.fleet.member import CLUNG_TO, Manner, Plan
from tests.chaos.fleet.process import Worker
from tests.e2e.service.http_clients import EVENTS, Operator, Tenant
from tests.e2e.service.nats_listener import until
from tests.e2e.service.service_process import Json, Running

CLINGER = "clinger"
NATS_SERVER, SERVICE = "nats-server", "service"
WINDOW_SECONDS = "3"
# Below the range from which the kernel takes ports for clients: there, an agent that looks for a
# service which is down can meet itself, and the service cannot come back.
PORTS = range(20_000, 32_000)
PORT_ATTEMPTS_MAX = 100
PROCESSES_MAX = 4
STOPS_AFTER = 0.25  # Of the whole time.
STOP_ATTEMPTS_MAX = 50
OUTAGE_SECONDS = (0.1, 2.0)
PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.2
PAGE_LENGTH = "1000"


@record
class Size:
    """How much of everything. One of the agents clings to a contact, and is stopped."""

    agents: int
    contacts: int
    seconds: float
    nats_kills: int
    service_kills: int
    seed: int
    clinger: Manner = "clings"


class Fleet:
    def __init__(self, folder: Path, size: Size) -> None:
        self._size = size
        self._chance = random.Random(size.seed)
        self._diaries = folder / "diaries"
        self._diaries.mkdir()
        ports = ("--port", str(_free_port()), "--nats-port", str(_free_port()))
        window = ("--heartbeat-window-seconds", WINDOW_SECONDS)
        self._running = Running(folder / "data", *ports, *window, "--log-level", "error")
        self._names = [CLINGER, *(f"agent{number:02}" for number in range(1, size.agents))]
        self._workers: list[Worker] = []
        self._stopped: list[Stopped] = []
        self._killed: list[str] = []

    async def go(self) -> Papers:
        await asyncio.to_thread(self._running.start)
        operator = Operator(self._running)
        try:
            tenant = await operator.tenant()
            await self._send_out(tenant)
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(self._size.seconds))
                group.create_task(self._trouble(operator))
                group.create_task(self._stop_one(tenant))
            settled = await self._gather_in(tenant)
            log = await tenant.events()
        finally:
            for worker in self._workers:
                await worker.end()
            await operator.close()
            self._running.end()
        return Papers(
            diaries=diaries(self._diaries),
            log=log,
            settled=settled,
            stopped=self._stopped,
            killed=self._killed,
        )

    # -- The agents --------------------------------------------------------------

    async def _send_out(self, tenant: Tenant) -> None:
        """The one that clings has a process to itself, so that it can be stopped alone."""
        plans = [await self._plan(tenant, number) for number in range(self._size.agents)]
        rest = [plans[1:][place::PROCESSES_MAX] for place in range(PROCESSES_MAX)]
        for share in (plans[:1], *filter(None, rest)):
            self._workers.append(await Worker.start(self._diaries, share))

    async def _plan(self, tenant: Tenant, number: int) -> Plan:
        """Every other agent has HTTP and nothing else."""
        name = self._names[number]
        issued = await tenant.issue("agent", name)
        return Plan(
            name=name,
            key=issued.text,
            url=self._running.url,
            nats_url=self._running.nats_url if number % 2 == 0 else None,
            manner=self._size.clinger if name == CLINGER else "wanders",
            contacts=self._size.contacts,
            seed=self._size.seed,
        )

    async def _gather_in(self, tenant: Tenant) -> int:
        """Return the last event that all agents heard of, or had PATIENCE_SECONDS to hear of."""
        for worker in self._workers:
            worker.tell("finish")
        await self._all(lambda name: bool(of(Recovered, self._diary(name))))
        settled = await tenant.head()
        log = await tenant.events()
        due = Due(log)
        last = {
            name: max((told[0] for told in due.to(id_)), default=0)
            for name, id_ in self._ids(log).items()
        }
        await self._all(lambda name: _heard_to(self._diary(name)) >= last.get(name, 0))
        for worker in self._workers:
            worker.tell("quit")
        for worker in self._workers:
            await worker.gone()
        return settled

    async def _all(self, done: Callable[[str], bool]) -> None:
        """Until all agents are done or failed; whoever is neither in time is the inquest's."""
        waiting = set(self._names)

        def nobody() -> bool:
            for name in sorted(waiting):
                if done(name) or of(Failed, self._diary(name)):
                    waiting.discard(name)
                else:
                    break
            return not waiting

        with suppress(TimeoutError):
            await until(nobody, PATIENCE_SECONDS)

    def _diary(self, name: str) -> Sequence[Entry]:
        return read(self._diaries, name)

    def _ids(self, log: Sequence[Json]) -> Mapping[str, str]:
        registered = (one["data"] for one in log if one["type"] == "AgentRegistered")
        return {data["agentName"]: data["agentId"] for data in registered}

    # -- The faults --------------------------------------------------------------

    async def _trouble(self, operator: Operator) -> None:
        size = self._size
        faults: list[Callable[[], Awaitable[None]]] = [self._kill_nats] * size.nats_kills
        faults += [lambda: self._kill_service(operator)] * size.service_kills
        self._chance.shuffle(faults)
        between = size.seconds / (len(faults) + 1)
        for fault in faults:
            await asyncio.sleep(between * self._chance.uniform(0.5, 1.0))
            await fault()

    async def _kill_nats(self) -> None:
        """The service starts another; return when it is there."""
        await until(lambda: len(self._running.nats_servers()) == 1, PATIENCE_SECONDS)
        (killed,) = self._running.nats_servers()
        os.kill(killed, signal.SIGKILL)
        self._killed.append(NATS_SERVER)
        await until(lambda: self._running.nats_servers() not in ([], [killed]), PATIENCE_SECONDS)

    async def _kill_service(self, operator: Operator) -> None:
        await asyncio.to_thread(self._running.kill)
        self._killed.append(SERVICE)
        await asyncio.sleep(self._chance.uniform(*OUTAGE_SECONDS))
        await asyncio.to_thread(self._running.start)
        await operator.line.find_again()

    async def _stop_one(self, tenant: Tenant) -> None:
        """Stopped while it clings, it goes on when its contact is another's, or nobody's."""
        await asyncio.sleep(self._size.seconds * STOPS_AFTER)
        clinger = self._workers[0]
        held = await self._stopped_while_it_holds(clinger)
        try:
            self._stopped.append(Stopped(agent=CLINGER, lease=held.lease, at=now()))
            alone = self._size.agents == 1
            await self._told(tenant, held.fence, lambda event: _passed_on(event, held, alone))
        finally:
            continued = now()
            clinger.signal(signal.SIGCONT)
        await until(lambda: _acted_since(continued, self._diary(CLINGER)), PATIENCE_SECONDS)

    async def _stopped_while_it_holds(self, clinger: "Worker") -> Held:
        for _ in range(STOP_ATTEMPTS_MAX):
            await until(lambda: _holding(self._diary(CLINGER)) is not None, PATIENCE_SECONDS)
            clinger.signal(signal.SIGSTOP)
            await until(clinger.is_stopped)
            if (held := _holding(self._diary(CLINGER))) is not None:
                return held
            clinger.signal(signal.SIGCONT)
        raise AssertionError("whenever it was stopped, it held nothing")

    async def _told(self, tenant: Tenant, after: int, matches: Callable[[Json], bool]) -> None:
        """Return when the log says so; the service may be away meanwhile."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(httpx2.HTTPError):
                    query = {"after": str(after), "limit": PAGE_LENGTH}
                    response = await tenant.ask("GET", EVENTS, query=query)
                    if response.status_code == httpx2.codes.OK:
                        page = response.json()
                        if any(matches(event) for event in page["events"]):
                            return
                        after = page["next"]
                await asyncio.sleep(LOOK_SECONDS)


def _free_port() -> int:
    for _ in range(PORT_ATTEMPTS_MAX):
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _holding(entries: Sequence[Entry]) -> Held | None:
    """The lease to which the agent clings, if it does so now."""
    over = {ended.lease for ended in of(Ended, entries)}
    held = [one for one in of(Held, entries) if one.contact == CLUNG_TO]
    return held[-1] if held and held[-1].lease not in over else None


def _heard_to(entries: Sequence[Entry]) -> int:
    return max((heard.sequence for heard in of(Heard, entries)), default=0)


def _acted_since(stamp: int, entries: Sequence[Entry]) -> bool:
    return any(entry.at > stamp for entry in entries if not isinstance(entry, Heard))


def _passed_on(event: Json, held: Held, alone: bool) -> bool:
    data = event["data"]
    if alone:
        ended: bool = event["type"] in ENDS and data["leaseId"] == held.lease
        return ended
    given_away: bool = event["type"] == "LeaseAcquired" and data["contactEmail"] == held.contact
    return given_away
