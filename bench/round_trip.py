"""Latency of ``async with agent.lease(...)`` in the SDK, over HTTP and NATS."""

import statistics
import time
from pathlib import Path

from quorate.bench.clients import KeyHolder, key_holders
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import Row
from quorate.client.agent import Agent

TRIPS = 500
WARM_UP_TRIPS = 50


async def lease(folder: Path, _seconds: float) -> list[Row]:
    async with quorate(folder) as service:
        over_http, over_nats = await key_holders(service, 2)
        return [
            *await _row("HTTP", service, over_http, nats_url=""),
            *await _row("NATS", service, over_nats, nats_url=service.nats_url),
        ]


async def _row(
    transport: str, service: BenchService, holder: KeyHolder, *, nats_url: str
) -> list[Row]:
    async with Agent.connect(service.url, holder.key, nats_url=nats_url) as agent:
        await _measure_trips(agent, "warm-up", WARM_UP_TRIPS)
        delays = sorted(await _measure_trips(agent, "lease", TRIPS))
    name = f"SDK lease over {transport}, acquire + release"
    note = f"{TRIPS} one by one, idle; two durable commands each"
    return [
        Row(name=f"{name}, p50", unit="ms", value=statistics.median(delays), note=note),
        Row(name=f"{name}, p99", unit="ms", value=delays[int(len(delays) * 0.99)]),
    ]


async def _measure_trips(agent: Agent, prefix: str, count: int) -> list[float]:
    delays = []
    for number in range(count):
        started_at = time.perf_counter()
        async with agent.lease(f"{prefix}-{number}@example.com"):
            pass
        delays.append(1_000 * (time.perf_counter() - started_at))
    return delays
