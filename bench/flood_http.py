"""Latency of one agent's acquisitions over HTTP while another tenant floods the service."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from quorate.bench.clients import client, key_holders
from quorate.bench.flood import PAUSE_SECONDS
from quorate.bench.http_flooder import CONNECTIONS
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import Row
from quorate.runtime.service_defaults import LIMITS_DEFAULT

TENANT = "flooding"
WITHIN_RATE_PER_SECOND = 800
RATE_ABOVE = 500  # Of each key, so that the flood exceeds it also on a slow machine.
# The pause of each connection, and the rate limit of a key.
FLOODS = {
    "during an HTTP flood within its rate limit": (
        CONNECTIONS / WITHIN_RATE_PER_SECOND,
        LIMITS_DEFAULT["rate_per_key"],
    ),
    "during an HTTP flood at full speed": (0.0, LIMITS_DEFAULT["rate_per_key"]),
    "during an HTTP flood above its rate limit": (0.0, RATE_ABOVE),
}
RATIO_MAX = 3


async def flood_http(folder: Path, seconds: float) -> list[Row]:
    rows: list[Row] = []
    for number, (condition, (pause, rate)) in enumerate(FLOODS.items()):
        place = folder / str(number)
        place.mkdir()
        limits = [f"--rate-per-key={rate}", f"--burst-per-key={2 * rate}"]
        async with quorate(place, *limits) as service:
            (quiet,) = await key_holders(service, 1)
            key = await _other_tenant(service)
            async with client(service, quiet.key) as http:
                idle = await _measure(http, seconds, "over HTTP while the service is idle")
                async with _flooder(service, key, pause):
                    busy = await _measure(http, seconds, condition)
        rows += [idle, busy]
        if idle.value and busy.value:
            name = f"p95 {condition} / idle (aim below {RATIO_MAX})"
            rows.append(Row(name=name, unit="ratio", value=busy.value / idle.value))
    return rows


async def _other_tenant(service: BenchService) -> str:
    """Create a tenant with one agent; return the agent's key."""
    async with client(service, service.admin_key) as http:
        (await http.post("/v1/tenants", json={"tenantId": TENANT})).raise_for_status()
        issued = await http.post("/v1/keys", json={"role": "tenant", "tenantId": TENANT})
        tenant_key: str = issued.raise_for_status().json()["key"]
    async with client(service, tenant_key) as http:
        issued = await http.post("/v1/keys", json={"role": "agent", "agentName": "flooder"})
        key: str = issued.raise_for_status().json()["key"]
    async with client(service, key) as http:
        registered = await http.post("/v1/agent/register", json={"agentName": "flooder"})
        registered.raise_for_status()
    return key


async def _measure(http: httpx2.AsyncClient, seconds: float, condition: str) -> Row:
    """Acquire leases one by one; return the 95th percentile of their latency."""
    delays: list[float] = []
    failed = 0
    deadline = time.perf_counter() + seconds
    while (sent_at := time.perf_counter()) < deadline:
        body = {"contactEmail": f"{time.time_ns()}@example.com"}
        try:
            (await http.post("/v1/agent/coordination/lease", json=body)).raise_for_status()
        except httpx2.HTTPError:
            failed += 1
        else:
            delays.append(time.perf_counter() - sent_at)
        await asyncio.sleep(PAUSE_SECONDS)
    delays.sort()
    p95 = 1_000 * delays[int(len(delays) * 0.95)] if delays else None
    sent = failed + len(delays)
    note = f"another tenant's acquisitions, one by one; {failed} of {sent} failed"
    return Row(name=f"p95 {condition}", unit="ms", value=p95, note=note)


@asynccontextmanager
async def _flooder(service: BenchService, key: str, pause: float) -> AsyncIterator[None]:
    """Run a process that floods until the end of the block."""
    address = urlsplit(service.url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "quorate.bench.http_flooder"),
        *(str(address.hostname), str(address.port), str(pause)),
        stdin=PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(f"{key}\n".encode())
    try:
        yield
    finally:
        process.kill()
        await process.wait()
