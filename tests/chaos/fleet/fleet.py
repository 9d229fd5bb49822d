"""Run a fleet of agents against one service, with faults of both.

While the agents contend for contacts, nats-server is killed, and the service is killed and
restarted with its data directory and ports. One agent is stopped until another agent has acquired
its contact. After the faults each agent recovers, receives the remaining notifications and ends.
The fleet checker verifies the result.
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
from tests.chaos.fleet.fleet_checker import ENDS, Evidence, ExpectedNotifications, StoppedAgent, of
from tests.chaos.fleet.journal import (
    Acquired,
    Ended,
    Entry,
    Failed,
    Received,
    Recovered,
    journals,
    now,
    read,
)
from tests.chaos.fleet.member import PERSISTENT_CONTACT, Behaviour, Plan
from tests.chaos.fleet.process import Worker
from tests.e2e.service.http_clients import EVENTS, Operator, Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json, ServiceProcess

PERSISTENT_AGENT = "persistent"
NATS_SERVER, SERVICE = "nats-server", "service"
WINDOW_SECONDS = "3"
# Below the ephemeral port range of the kernel. In that range, a client that connects to the port of
# a stopped service can connect to itself, and the service cannot bind the port again.
PORTS = range(20_000, 32_000)
PORT_ATTEMPTS_MAX = 100
PROCESSES_MAX = 4
STOPS_AFTER = 0.25  # A fraction of the run time.
STOP_ATTEMPTS_MAX = 50
OUTAGE_SECONDS = (0.1, 2.0)
WAIT_SECONDS_MAX = 90.0
POLL_SECONDS = 0.2
PAGE_LENGTH = "1000"


@record
class Size:
    """The size of a run. One agent is persistent, and is stopped."""

    agents: int
    contacts: int
    seconds: float
    nats_kills: int
    service_kills: int
    seed: int
    persistent_behaviour: Behaviour = "persistent"


class Fleet:
    def __init__(self, directory: Path, size: Size) -> None:
        self._size = size
        self._random = random.Random(size.seed)
        self._journals = directory / "journals"
        self._journals.mkdir()
        ports = ("--port", str(_free_port()), "--nats-port", str(_free_port()))
        window = ("--heartbeat-window-seconds", WINDOW_SECONDS)
        self._running = ServiceProcess(directory / "data", *ports, *window, "--log-level", "error")
        self._names = [PERSISTENT_AGENT, *(f"agent{number:02}" for number in range(1, size.agents))]
        self._workers: list[Worker] = []
        self._stopped: list[StoppedAgent] = []
        self._killed: list[str] = []

    async def run(self) -> Evidence:
        await asyncio.to_thread(self._running.start)
        operator = Operator(self._running)
        try:
            tenant = await operator.create_tenant()
            await self._start_agents(tenant)
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(self._size.seconds))
                group.create_task(self._cause_faults(operator))
                group.create_task(self._stop_persistent_agent(tenant))
            settled_sequence = await self._end_agents(tenant)
            log = await tenant.events()
        finally:
            for worker in self._workers:
                await worker.end()
            await operator.close()
            self._running.end()
        return Evidence(
            journals=journals(self._journals),
            log=log,
            settled_sequence=settled_sequence,
            stopped=self._stopped,
            killed=self._killed,
        )

    # -- The agents --------------------------------------------------------------

    async def _start_agents(self, tenant: Tenant) -> None:
        """Start the agents. The persistent agent has its own process, so that it can be stopped."""
        plans = [await self._plan(tenant, number) for number in range(self._size.agents)]
        rest = [plans[1:][place::PROCESSES_MAX] for place in range(PROCESSES_MAX)]
        for share in (plans[:1], *filter(None, rest)):
            self._workers.append(await Worker.start(self._journals, share))

    async def _plan(self, tenant: Tenant, number: int) -> Plan:
        """Return the plan of an agent. Every second agent uses HTTP only."""
        name = self._names[number]
        issued = await tenant.issue("agent", name)
        return Plan(
            name=name,
            key=issued.text,
            url=self._running.url,
            nats_url=self._running.nats_url if number % 2 == 0 else None,
            behaviour=self._size.persistent_behaviour if name == PERSISTENT_AGENT else "roaming",
            contacts=self._size.contacts,
            seed=self._size.seed,
        )

    async def _end_agents(self, tenant: Tenant) -> int:
        """End the agents; return the sequence up to which they had time to receive all events."""
        for worker in self._workers:
            worker.send("finish")
        await self._wait_for_all(lambda name: bool(of(Recovered, self._journal(name))))
        settled_sequence = await tenant.head()
        log = await tenant.events()
        expected = ExpectedNotifications(log)
        last = {
            name: max((one[0] for one in expected.for_agent(id_)), default=0)
            for name, id_ in self._ids(log).items()
        }
        await self._wait_for_all(
            lambda name: _last_received(self._journal(name)) >= last.get(name, 0)
        )
        for worker in self._workers:
            worker.send("quit")
        for worker in self._workers:
            await worker.wait()
        return settled_sequence

    async def _wait_for_all(self, done: Callable[[str], bool]) -> None:
        """Wait until all agents are done or failed; the checker reports the others."""
        waiting = set(self._names)

        def all_done() -> bool:
            for name in sorted(waiting):
                if done(name) or of(Failed, self._journal(name)):
                    waiting.discard(name)
                else:
                    break
            return not waiting

        with suppress(TimeoutError):
            await wait_until(all_done, WAIT_SECONDS_MAX)

    def _journal(self, name: str) -> Sequence[Entry]:
        return read(self._journals, name)

    def _ids(self, log: Sequence[Json]) -> Mapping[str, str]:
        registered = (one["data"] for one in log if one["type"] == "AgentRegistered")
        return {data["agentName"]: data["agentId"] for data in registered}

    # -- The faults --------------------------------------------------------------

    async def _cause_faults(self, operator: Operator) -> None:
        size = self._size
        faults: list[Callable[[], Awaitable[None]]] = [self._kill_nats] * size.nats_kills
        faults += [lambda: self._kill_service(operator)] * size.service_kills
        self._random.shuffle(faults)
        between = size.seconds / (len(faults) + 1)
        for fault in faults:
            await asyncio.sleep(between * self._random.uniform(0.5, 1.0))
            await fault()

    async def _kill_nats(self) -> None:
        """Kill nats-server, and wait until the service has started another."""
        await wait_until(lambda: len(self._running.nats_servers()) == 1, WAIT_SECONDS_MAX)
        (killed,) = self._running.nats_servers()
        os.kill(killed, signal.SIGKILL)
        self._killed.append(NATS_SERVER)
        await wait_until(
            lambda: self._running.nats_servers() not in ([], [killed]), WAIT_SECONDS_MAX
        )

    async def _kill_service(self, operator: Operator) -> None:
        await asyncio.to_thread(self._running.kill)
        self._killed.append(SERVICE)
        await asyncio.sleep(self._random.uniform(*OUTAGE_SECONDS))
        await asyncio.to_thread(self._running.start)
        await operator.connection.reconnect()

    async def _stop_persistent_agent(self, tenant: Tenant) -> None:
        """Stop the persistent agent; continue it when its lease is lost."""
        await asyncio.sleep(self._size.seconds * STOPS_AFTER)
        worker = self._workers[0]
        held = await self._stop_while_holding(worker)
        try:
            self._stopped.append(StoppedAgent(agent=PERSISTENT_AGENT, lease=held.lease, at=now()))
            is_single = self._size.agents == 1
            await self._wait_for_event(
                tenant, held.fence, lambda event: _is_given_up(event, held, is_single)
            )
        finally:
            continued = now()
            worker.signal(signal.SIGCONT)
        await wait_until(
            lambda: _acted_since(continued, self._journal(PERSISTENT_AGENT)), WAIT_SECONDS_MAX
        )

    async def _stop_while_holding(self, worker: "Worker") -> Acquired:
        for _ in range(STOP_ATTEMPTS_MAX):
            await wait_until(
                lambda: _holding(self._journal(PERSISTENT_AGENT)) is not None, WAIT_SECONDS_MAX
            )
            worker.signal(signal.SIGSTOP)
            await wait_until(worker.is_stopped)
            if (held := _holding(self._journal(PERSISTENT_AGENT))) is not None:
                return held
            worker.signal(signal.SIGCONT)
        raise AssertionError("the agent never held a lease when it was stopped")

    async def _wait_for_event(
        self, tenant: Tenant, after: int, matches: Callable[[Json], bool]
    ) -> None:
        """Wait until the log contains a matching event; the service may be down meanwhile."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                with suppress(httpx2.HTTPError):
                    query = {"after": str(after), "limit": PAGE_LENGTH}
                    response = await tenant.request("GET", EVENTS, query=query)
                    if response.status_code == httpx2.codes.OK:
                        page = response.json()
                        if any(matches(event) for event in page["events"]):
                            return
                        after = page["next"]
                await asyncio.sleep(POLL_SECONDS)


def _free_port() -> int:
    for _ in range(PORT_ATTEMPTS_MAX):
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _holding(entries: Sequence[Entry]) -> Acquired | None:
    """Return the lease that the persistent agent holds now, if any."""
    ended_leases = {ended.lease for ended in of(Ended, entries)}
    held = [one for one in of(Acquired, entries) if one.contact == PERSISTENT_CONTACT]
    return held[-1] if held and held[-1].lease not in ended_leases else None


def _last_received(entries: Sequence[Entry]) -> int:
    return max((received.sequence for received in of(Received, entries)), default=0)


def _acted_since(stamp: int, entries: Sequence[Entry]) -> bool:
    return any(entry.at > stamp for entry in entries if not isinstance(entry, Received))


def _is_given_up(event: Json, held: Acquired, is_single: bool) -> bool:
    data = event["data"]
    if is_single:
        ended: bool = event["type"] in ENDS and data["leaseId"] == held.lease
        return ended
    is_taken: bool = event["type"] == "LeaseAcquired" and data["contactEmail"] == held.contact
    return is_taken
