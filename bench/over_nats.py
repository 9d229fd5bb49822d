"""Commands over NATS request/reply: one connection, many requests in flight."""

import asyncio
import time
from pathlib import Path

import nats
import orjson
from nats.aio.client import Client

from quorate.bench.clients import KeyHolder, key_holders
from quorate.bench.processes import quorate
from quorate.bench.report import OVER_NATS, Row
from quorate.bus.subjects import command, inbox_prefix

IN_FLIGHT = 64
WARM_UP_SECONDS = 1.0
REPLY_SECONDS_MAX = 10.0


async def acquire(folder: Path, seconds: float) -> list[Row]:
    """Measure acquisitions. The client, the service and nats-server are separate processes."""
    async with quorate(folder) as service:
        (holder,) = await key_holders(service, 1)
        bus = await connect(service.nats_url, holder)
        try:
            await _acquire(bus, holder, WARM_UP_SECONDS, "warm-up")
            delays, elapsed = await _acquire(bus, holder, seconds, "lease")
        finally:
            await bus.close()
    delays.sort()
    p99 = 1_000 * delays[int(len(delays) * 0.99)]
    note = f"each one committed to disk; nats-py, {IN_FLIGHT} in flight, p99 {p99:.1f} ms"
    return [Row(name=OVER_NATS, unit="commands/s", value=len(delays) / elapsed, note=note)]


async def connect(url: str, holder: KeyHolder) -> Client:
    return await nats.connect(
        url,
        token=holder.key,
        inbox_prefix=inbox_prefix(holder.principal),
        allow_reconnect=False,
    )


async def _acquire(
    bus: Client, holder: KeyHolder, seconds: float, prefix: str
) -> tuple[list[float], float]:
    """Return the latency of each acquisition and the total time, in seconds."""
    subject = command(holder.principal.tenant, holder.agent_id, "acquireLease")
    delays: list[float] = []
    deadline = time.perf_counter() + seconds

    async def worker(number: int) -> None:
        count = 0
        while (sent_at := time.perf_counter()) < deadline:
            count += 1
            body = orjson.dumps({"contactEmail": f"{prefix}-{number}-{count}@example.com"})
            reply = await bus.request(subject, body, timeout=REPLY_SECONDS_MAX)
            assert b'"fence"' in reply.data, reply.data
            delays.append(time.perf_counter() - sent_at)

    started = time.perf_counter()
    await asyncio.gather(*(worker(number) for number in range(IN_FLIGHT)))
    return delays, time.perf_counter() - started
