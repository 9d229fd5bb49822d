"""Latency of one agent's commands over NATS while another agent floods the service."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from quorate.bench.clients import KeyHolder, key_holders
from quorate.bench.over_nats import connect
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import Row
from quorate.bus.subjects import command, inbox_prefix
from quorate.runtime.service_defaults import LIMITS_DEFAULT

PAUSE_SECONDS = 0.02
RESPONSE_SECONDS_MAX = 5.0
FLOODS = {"during a flood of heartbeats": 0, "during a flood of 60 KB commands": 60_000}
# The default limits instead of those of the other benchmarks.
LIMITS = [
    f"--{name.replace('_', '-')}={LIMITS_DEFAULT[name]}"
    for name in ("rate_per_key", "burst_per_key", "rate_per_tenant", "burst_per_tenant")
]


async def flood(folder: Path, seconds: float) -> list[Row]:
    async with quorate(folder, *LIMITS) as service:
        quiet, *flooders = await key_holders(service, 1 + len(FLOODS))
        bus = await connect(service.nats_url, quiet)
        try:
            rows = [await _measure(bus, quiet, seconds, "while the service is idle")]
            for holder, (condition, size) in zip(flooders, FLOODS.items(), strict=True):
                async with _flooder(service, holder, size):
                    rows.append(await _measure(bus, quiet, seconds, condition))
        finally:
            await bus.close()
    return rows


async def _measure(bus: Client, holder: KeyHolder, seconds: float, condition: str) -> Row:
    """Acquire leases one by one; return the 95th percentile of their latency."""
    subject = command(holder.principal.tenant, holder.agent_id, "acquireLease")
    delays: list[float] = []
    failed = 0
    deadline = time.perf_counter() + seconds
    while (sent_at := time.perf_counter()) < deadline:
        body = orjson.dumps({"contactEmail": f"{time.time_ns()}@example.com"})
        try:
            reply = await bus.request(subject, body, timeout=RESPONSE_SECONDS_MAX)
        except NatsError:
            failed += 1
        else:
            assert b'"fence"' in reply.data, reply.data
            delays.append(time.perf_counter() - sent_at)
        await asyncio.sleep(PAUSE_SECONDS)
    delays.sort()
    p95 = 1_000 * delays[int(len(delays) * 0.95)] if delays else None
    sent = failed + len(delays)
    note = f"another agent's acquisitions over NATS, one by one; {failed} of {sent} failed"
    return Row(name=f"p95 {condition}", unit="ms", value=p95, note=note)


@asynccontextmanager
async def _flooder(service: BenchService, holder: KeyHolder, size: int) -> AsyncIterator[None]:
    """Run a process that floods as ``holder`` until the end of the block."""
    address = urlsplit(service.nats_url)
    subject = command(holder.principal.tenant, holder.agent_id, "heartbeat")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "quorate.bench.flooder"),
        *(str(address.hostname), str(address.port), subject),
        *(f"{inbox_prefix(holder.principal)}.flood", str(size)),
        stdin=PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(f"{holder.key}\n".encode())
    try:
        yield
    finally:
        process.kill()
        await process.wait()
