"""The benchmarks of Quorate on SQLite."""

import asyncio
import itertools
import socket
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2
from nats.aio.client import Client
from nats.aio.msg import Msg

from quorate.bench import wrk
from quorate.bench.clients import KeyHolder, client, key_holders
from quorate.bench.history import write_history
from quorate.bench.over_nats import connect
from quorate.bench.processes import BenchService, process, quorate, wait_until_listening
from quorate.bench.report import ACQUIRE, ECHO, Row
from quorate.bus.subjects import to_agent
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.rebuild import rebuild as rebuild_projections

LEASE = "/v1/agent/coordination/lease"
AGENTS = 64
HEARTBEAT_AGENTS = 2_000
HEARTBEAT_WINDOW_SECONDS = 30  # Short, so that the service combines few heartbeats.
CONCURRENCY = 32
NOTIFICATIONS = 500
NOTIFICATION_SECONDS_MAX = 5.0
HISTORY_EVENTS = 400_000
_RUNS = itertools.count(1)


async def echo(folder: Path, seconds: float) -> list[Row]:
    if (reason := wrk.available()) is not None:
        return [Row(name=ECHO, unit="requests/s", value=None, note=reason)]
    port, log = free_port(), folder / "echo.log"
    command = [sys.executable, "-m", "quorate.bench.echo", str(port)]
    async with process(command, log) as child:
        await wait_until_listening(port, child, log)
        environment = {"KEY": "none", "AGENTS": str(AGENTS), "RUN": "0"}
        load = await wrk.run("acquire.lua", f"http://127.0.0.1:{port}{LEASE}", seconds, environment)
    note = f"Starlette and pydantic, 64 connections, p99 {load.p99_milliseconds:.1f} ms"
    return [Row(name=ECHO, unit="requests/s", value=load.rate, note=note)]


async def acquire(folder: Path, seconds: float) -> list[Row]:
    if (reason := wrk.available()) is not None:
        return [Row(name=ACQUIRE, unit="commands/s", value=None, note=reason)]
    async with quorate(folder) as service:
        await register(service, AGENTS)
        result = await load(service, "acquire.lua", LEASE, seconds, AGENTS)
    return [as_row(ACQUIRE, result)]


async def heartbeat(folder: Path, seconds: float) -> list[Row]:
    name = "heartbeats over HTTP"
    if (reason := wrk.available()) is not None:
        return [Row(name=name, unit="commands/s", value=None, note=reason)]
    window = ["--heartbeat-window-seconds", str(HEARTBEAT_WINDOW_SECONDS)]
    async with quorate(folder, *window) as service:
        await register(service, HEARTBEAT_AGENTS)
        path = "/v1/agent/coordination/heartbeat"
        result = await load(service, "heartbeat.lua", path, seconds, HEARTBEAT_AGENTS)
    return [as_row(name, result)]


async def notification(folder: Path, _seconds: float) -> list[Row]:
    """Measure the latency from a rejected request to its notification, on an idle service."""
    async with quorate(folder) as service, client(service) as http:
        holder, rival = await key_holders(service, 2)
        bus = await connect(service.nats_url, rival)
        try:
            delays = await _conflicts(http, bus, holder, rival)
        finally:
            await bus.close()
    delays.sort()
    note = f"{len(delays)} conflicts one by one; from the request to the notification"
    median, p99 = statistics.median(delays), delays[int(len(delays) * 0.99)]
    return [
        Row(name="conflict to notification, p50", unit="ms", value=median, note=note),
        Row(name="conflict to notification, p99", unit="ms", value=p99, note="aim: under 10 ms"),
    ]


async def _conflicts(
    http: httpx2.AsyncClient, bus: Client, holder: KeyHolder, rival: KeyHolder
) -> list[float]:
    received: asyncio.Queue[float] = asyncio.Queue()

    async def on_message(_: Msg) -> None:
        received.put_nowait(time.perf_counter())

    subject = to_agent(rival.principal.tenant, rival.agent_id, "lease_conflict")
    await bus.subscribe(subject, cb=on_message)
    await bus.flush()
    contact = {"contactEmail": "user@example.com"}
    (await http.post(LEASE, json={"agentId": holder.agent_id, **contact})).raise_for_status()
    delays = []
    for _ in range(NOTIFICATIONS):
        sent_at = time.perf_counter()
        response = await http.post(LEASE, json={"agentId": rival.agent_id, **contact})
        assert response.status_code == httpx2.codes.CONFLICT
        delays.append(
            1_000 * (await asyncio.wait_for(received.get(), NOTIFICATION_SECONDS_MAX) - sent_at)
        )
    return delays


async def rebuild(folder: Path, _seconds: float) -> list[Row]:
    """Rebuild the projections from a log with all types of events."""
    path = folder / "quorate.db"
    events = await write_history(path, HISTORY_EVENTS)
    database = SqliteDatabase(path)
    await database.open()
    started = time.perf_counter()
    await rebuild_projections(database)
    elapsed = time.perf_counter() - started
    await database.close()
    note = f"{events:,} events in {elapsed:.1f} s; aim: 150,000"
    return [Row(name="rebuild", unit="events/s", value=events / elapsed, note=note)]


# -- Helpers -----------------------------------------------------------------


async def register(service: BenchService, count: int) -> list[dict[str, str]]:
    """Register the agents ``agent-0``, ``agent-1``, ..."""
    async with client(service) as http:
        limit = asyncio.Semaphore(CONCURRENCY)

        async def register_one(number: int) -> dict[str, str]:
            async with limit:
                response = await http.post(
                    "/v1/agent/register", json={"agentName": f"agent-{number}"}
                )
                response.raise_for_status()
                result: dict[str, str] = response.json()
                return result

        return list(await asyncio.gather(*(register_one(number) for number in range(count))))


async def load(  # noqa: PLR0917 - what a load consists of.
    service: BenchService,
    script: str,
    path: str,
    seconds: float,
    agents: int,
    environment: Mapping[str, str] | None = None,
) -> wrk.Load:
    environment = {"KEY": service.key, "AGENTS": str(agents), **(environment or {})}
    url = service.url + path
    warm_up = await wrk.run(script, url, 1, {**environment, "RUN": str(next(_RUNS))})
    load = await wrk.run(script, url, seconds, {**environment, "RUN": str(next(_RUNS))})
    assert warm_up.failed == load.failed == 0, "The service rejected commands under load"
    return load


def as_row(name: str, load: wrk.Load) -> Row:
    note = f"each one committed to disk; 64 connections, p99 {load.p99_milliseconds:.1f} ms"
    return Row(name=name, unit="commands/s", value=load.rate, note=note)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
