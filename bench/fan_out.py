"""Latency of one notification to a thousand agents, from its request to each receipt."""

import asyncio
import json
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from quorate.bench.clients import KeyHolder, client, key_holders
from quorate.bench.processes import STOP_SECONDS_MAX, BenchService, quorate
from quorate.bench.report import Row
from quorate.bus.subjects import to_all

SUBSCRIBERS = 1_000
PROCESSES = 2
NOTIFICATIONS = 50
PAUSE_SECONDS = 0.1  # Between two notifications, so that the first has arrived at every subscriber.
READY_SECONDS_MAX = 60.0
CONSENSUS = "/v1/agent/coordination/consensus"
NAME = "notification to 1,000 subscribers"


async def fan_out(folder: Path, _seconds: float) -> list[Row]:
    async with quorate(folder) as service:
        agents = await key_holders(service, SUBSCRIBERS)
        async with _subscriber_processes(service, agents) as processes:
            await _propose(service, agents[0])
            delays = sorted(
                [delay for process in processes for delay in await _read_delays(process)]
            )
    expected = SUBSCRIBERS * NOTIFICATIONS
    assert len(delays) == expected, f"{len(delays)} of {expected} notifications were received"
    note = f"{NOTIFICATIONS} one by one; from the request to the receipt of each subscriber"
    p99 = delays[int(len(delays) * 0.99)]
    return [
        Row(name=f"{NAME}, p50", unit="ms", value=statistics.median(delays), note=note),
        Row(name=f"{NAME}, p99", unit="ms", value=p99),
    ]


async def _propose(service: BenchService, proposer: KeyHolder) -> None:
    """Propose actions, which notify all agents. Each action contains the time of its request."""
    fields = {
        "requestingAgentId": proposer.agent_id,
        "contactEmail": "ceo@bigcorp.com",
        "reason": "Fatigue scores are high",
    }
    async with client(service) as http:
        for _ in range(NOTIFICATIONS):
            body = fields | {"action": f"at {time.monotonic_ns()}"}
            (await http.post(CONSENSUS, json=body)).raise_for_status()
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def _subscriber_processes(
    service: BenchService, agents: Sequence[KeyHolder]
) -> AsyncIterator[Sequence[Process]]:
    """Start processes in which all agents subscribe, and wait until they have."""
    processes: list[Process] = []
    share = len(agents) // PROCESSES
    try:
        for number in range(PROCESSES):
            part = agents[number * share : (number + 1) * share]
            processes.append(await _start_process(service, [holder.key for holder in part]))
        for process in processes:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), READY_SECONDS_MAX)
            assert line == b"ready\n", "The subscribers could not connect"
        yield processes
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _start_process(service: BenchService, keys: Sequence[str]) -> Process:
    address = urlsplit(service.nats_url)
    subject = to_all("default", "consensus_requested")
    arguments = [str(address.hostname), str(address.port), subject, str(len(keys))]
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "quorate.bench.subscribers", *arguments),
        stdin=PIPE,
        stdout=PIPE,
        limit=SUBSCRIBERS * NOTIFICATIONS * 32,
    )
    assert child.stdin is not None
    child.stdin.write("".join(f"{key}\n" for key in keys).encode())
    await child.stdin.drain()
    return child


async def _read_delays(process: Process) -> list[float]:
    async with asyncio.timeout(STOP_SECONDS_MAX):
        line, _ = await process.communicate(b"end\n")
    delays: list[float] = json.loads(line)
    return delays
