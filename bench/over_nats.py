"""Commands over NATS request/reply, as agents send them: one connection, many in flight."""

import asyncio
import time
from pathlib import Path

import nats
import orjson
from nats.aio.client import Client

from quorate.bench.holders import KeyHolder, key_holders
from quorate.bench.processes import quorate
from quorate.bench.report import OVER_NATS, Row
from quorate.bus.subjects import command, inbox_prefix

IN_FLIGHT = 64
WARM_UP_SECONDS = 1.0
ANSWER_SECONDS_MAX = 10.0


async def acquire(folder: Path, seconds: float) -> list[Row]:
    """The client is in this process, and the service and its nats-server in theirs."""
    async with quorate(folder) as service:
        (holder,) = await key_holders(service, 1)
        bus = await connected(service.nats_url, holder)
        try:
            await _acquired(bus, holder, WARM_UP_SECONDS, "warm-up")
            delays, spent = await _acquired(bus, holder, seconds, "lease")
        finally:
            await bus.close()
    delays.sort()
    p99 = 1_000 * delays[int(len(delays) * 0.99)]
    note = f"each one committed to disk; nats-py, {IN_FLIGHT} in flight, p99 {p99:.1f} ms"
    return [Row(name=OVER_NATS, unit="commands/s", value=len(delays) / spent, note=note)]


async def connected(url: str, holder: KeyHolder) -> Client:
    return await nats.connect(
        url,
        token=holder.key,
        inbox_prefix=inbox_prefix(holder.principal),
        allow_reconnect=False,
    )


async def _acquired(
    bus: Client, holder: KeyHolder, seconds: float, prefix: str
) -> tuple[list[float], float]:
    """How long each acquisition took, and all of them together."""
    subject = command(holder.principal.tenant, holder.agent_id, "acquireLease")
    delays: list[float] = []
    until = time.perf_counter() + seconds

    async def worker(number: int) -> None:
        count = 0
        while (asked := time.perf_counter()) < until:
            count += 1
            body = orjson.dumps({"contactEmail": f"{prefix}-{number}-{count}@example.com"})
            answer = await bus.request(subject, body, timeout=ANSWER_SECONDS_MAX)
            assert b'"fence"' in answer.data, answer.data
            delays.append(time.perf_counter() - asked)

    started = time.perf_counter()
    await asyncio.gather(*(worker(number) for number in range(IN_FLIGHT)))
    return delays, time.perf_counter() - started
