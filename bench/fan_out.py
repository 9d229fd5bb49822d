"""One notification to a thousand agents: how long after its request each of them has it."""

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

from quorate.bench.holders import KeyHolder, client, key_holders
from quorate.bench.processes import END_SECONDS_MAX, Running, quorate
from quorate.bench.report import Row
from quorate.bus.subjects import to_all

SUBSCRIBERS = 1_000
PROCESSES = 2
NOTIFICATIONS = 50
PAUSE_SECONDS = 0.1  # Between two notifications: the one before has arrived everywhere.
READY_SECONDS_MAX = 60.0
CONSENSUS = "/v1/agent/coordination/consensus"
NAME = "notification to 1,000 subscribers"


async def fan_out(folder: Path, _seconds: float) -> list[Row]:
    async with quorate(folder) as service:
        holders = await key_holders(service, SUBSCRIBERS)
        async with _listening(service, holders) as listeners:
            await _propose(service, holders[0])
            delays = sorted([delay for each in listeners for delay in await _heard(each)])
    expected = SUBSCRIBERS * NOTIFICATIONS
    assert len(delays) == expected, f"{len(delays)} of {expected} notifications were heard"
    note = f"{NOTIFICATIONS} one by one; request and commit included, each subscriber's receipt counted"
    p99 = delays[int(len(delays) * 0.99)]
    return [
        Row(name=f"{NAME}, p50", unit="ms", value=statistics.median(delays), note=note),
        Row(name=f"{NAME}, p99", unit="ms", value=p99),
    ]


async def _propose(service: Running, proposer: KeyHolder) -> None:
    """Requests for consensus, of which all agents are told; each names when it was sent."""
    asked = {
        "requestingAgentId": proposer.agent_id,
        "contactEmail": "ceo@bigcorp.com",
        "reason": "Fatigue scores are high",
    }
    async with client(service) as http:
        for _ in range(NOTIFICATIONS):
            body = asked | {"action": f"at {time.monotonic_ns()}"}
            (await http.post(CONSENSUS, json=body)).raise_for_status()
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def _listening(
    service: Running, holders: Sequence[KeyHolder]
) -> AsyncIterator[Sequence[Process]]:
    """Processes in which all of them listen."""
    processes: list[Process] = []
    share = len(holders) // PROCESSES
    try:
        for number in range(PROCESSES):
            part = holders[number * share : (number + 1) * share]
            processes.append(await _listener(service, [holder.key for holder in part]))
        for each in processes:
            assert each.stdout is not None
            said = await asyncio.wait_for(each.stdout.readline(), READY_SECONDS_MAX)
            assert said == b"ready\n", "the subscribers could not connect"
        yield processes
    finally:
        for each in processes:
            if each.returncode is None:
                each.kill()
                await each.wait()


async def _listener(service: Running, keys: Sequence[str]) -> Process:
    address = urlsplit(service.nats_url)
    subject = to_all("default", "consensus_requested")
    where = [str(address.hostname), str(address.port), subject, str(len(keys))]
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "quorate.bench.listeners", *where),
        stdin=PIPE,
        stdout=PIPE,
        limit=SUBSCRIBERS * NOTIFICATIONS * 32,
    )
    assert child.stdin is not None
    child.stdin.write("".join(f"{key}\n" for key in keys).encode())
    await child.stdin.drain()
    return child


async def _heard(listener: Process) -> list[float]:
    async with asyncio.timeout(END_SECONDS_MAX):
        said, _ = await listener.communicate(b"end\n")
    delays: list[float] = json.loads(said)
    return delays
