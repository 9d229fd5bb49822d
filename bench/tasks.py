"""Tasks: claims with their results per second, and the time from an offer to its claim."""

import asyncio
import statistics
import time
from pathlib import Path

from quorate.bench import wrk
from quorate.bench.clients import client, key_holders
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import CLAIMS, Row
from quorate.bench.scenarios import AGENTS, LEASE, load, register

SPAWN, CLAIM = "/v1/tools/spawn_agent", "/v1/tasks/claim"
OFFERS = 300
ROUNDS = 4
OFFERED_SECONDS_MAX = 5.0


async def claim_complete(folder: Path, seconds: float) -> list[Row]:
    """Claim and complete tasks that were handed over before, and acquire leases in the same run.

    Both are measured in turn, so that a change of the machine's speed affects both.
    """
    if (reason := wrk.available()) is not None:
        return [Row(name=CLAIMS, unit="pairs/s", value=None, note=reason)]
    claims, leases = [], []
    async with quorate(folder) as service:
        await register(service, AGENTS)
        spawned = await load(service, "spawn.lua", SPAWN, 2 * seconds, AGENTS)
        for _ in range(ROUNDS):
            part = seconds / ROUNDS
            claims.append((await load(service, "claim.lua", CLAIM, part, AGENTS)).rate)
            leases.append((await load(service, "acquire.lua", LEASE, part, AGENTS)).rate)
        await _check_tasks_left(service)
    pairs, acquisitions = statistics.median(claims) / 2, statistics.median(leases)
    note = f"two commands each; {spawned.rate:,.0f} tasks/s handed over"
    return [
        Row(name=CLAIMS, unit="pairs/s", value=pairs, note=note),
        Row(
            name="claim + complete / acquisitions (aim 0.4)",
            unit="ratio",
            value=pairs / acquisitions,
            note=f"{acquisitions:,.0f} acquisitions/s in the same run; medians of {ROUNDS} turns",
        ),
    ]


async def _check_tasks_left(service: BenchService) -> None:
    """Claims that find no task cost less: the figure counts only if tasks were left."""
    async with client(service) as http:
        claim = await http.post(CLAIM, json={"agent_name": "agent-0"})
        if claim.raise_for_status().json()["task"] is None:
            raise RuntimeError("The tasks ran out while they were claimed")


async def task_offered(folder: Path, _seconds: float) -> list[Row]:
    """Measure the time from a submission to the response of a claim that waits for it."""
    async with quorate(folder) as service:
        spawner, worker = await key_holders(service, 2)
        async with client(service, spawner.key) as http, client(service, worker.key) as waiting:
            delays = []
            for _ in range(OFFERS):
                claim = asyncio.create_task(waiting.post(CLAIM, json={"wait": OFFERED_SECONDS_MAX}))
                await asyncio.sleep(0.01)  # The claim waits.
                sent_at = time.perf_counter()
                await http.post(SPAWN, json={"task": "Sort the mail", "nonblocking": True})
                task = (await claim).raise_for_status().json()["task"]
                delays.append(1_000 * (time.perf_counter() - sent_at))
                path = f"/v1/tasks/{task['task_id']}/complete"
                body = {"fence": task["fence"], "text": ""}
                (await waiting.post(path, json=body)).raise_for_status()
    cuts = statistics.quantiles(delays, n=100)
    note = f"{OFFERS} tasks on an idle service, median {cuts[49]:.1f} ms; aim: 20"
    return [Row(name="task offered to claimed, p99", unit="ms", value=cuts[98], note=note)]
