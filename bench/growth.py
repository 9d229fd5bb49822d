"""Compare the cost of a command in a small and a large service: live leases, events in the log.

Both are measured with the same load, one right after the other. The creation of the large one takes
minutes, so these rows run only when --only names them.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from quorate.bench import wrk
from quorate.bench.clients import client
from quorate.bench.history import DAY_SECONDS, write_history, write_live_leases
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import Row
from quorate.bench.scenarios import AGENTS, LEASE, load, register

LEASES = (1_000, 1_000_000)
EVENTS = (10_000, 2_000_000)
IDLE_SHARE = 0.05  # Of a processor. Below it, the verification of the log at the start has ended.
IDLE_SECONDS_MAX = 600.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
Write = Callable[[Path, int], Awaitable[object]]


async def live_leases(folder: Path, seconds: float) -> list[Row]:
    return await _small_and_large(folder, seconds, "live leases", LEASES, write_live_leases)


async def events(folder: Path, seconds: float) -> list[Row]:
    """All leases of the history are released, so the service has none to expire at its start."""
    write = partial(write_history, unreleased_every=0)
    return await _small_and_large(folder, seconds, "events", EVENTS, write)


async def _small_and_large(
    folder: Path, seconds: float, kind: str, sizes: tuple[int, int], write: Write
) -> list[Row]:
    if (reason := wrk.available()) is not None:
        return [Row(name=f"acquisitions among {kind}", unit="commands/s", value=None, note=reason)]
    rows = [await _measure(folder / str(size), seconds, kind, size, write) for size in sizes]
    small, large = (row.value or 0.0 for row in rows)
    name = f"acquisitions: {sizes[1]:,} {kind} / {sizes[0]:,} (aim above 0.83)"
    return [*rows, Row(name=name, unit="ratio", value=large / small)]


async def _measure(folder: Path, seconds: float, kind: str, size: int, write: Write) -> Row:
    (folder / "data").mkdir(parents=True, mode=0o700)
    await write(folder / "data" / "quorate.db", size)
    async with quorate(folder, "--heartbeat-window-seconds", str(DAY_SECONDS)) as service:
        await wait_until_idle(service)
        if write is write_live_leases:
            await check_live_leases(service, size)
        await register(service, AGENTS)
        result = await load(service, "acquire.lua", LEASE, seconds, AGENTS)
        resident = _resident_megabytes(service)
    note = f"p99 {result.p99_milliseconds:.1f} ms; {resident:.0f} MB resident"
    name = f"acquisitions among {size:,} {kind}"
    return Row(name=name, unit="commands/s", value=result.rate, note=note)


async def check_live_leases(service: BenchService, size: int) -> None:
    """Leases that ended while they were written would cost nothing."""
    async with client(service) as http:
        answer = (await http.get("/v1/quotas")).raise_for_status()
    (live,) = [one["used"] for one in answer.json()["quotas"] if one["quota"] == "live_leases"]
    if live < size:
        raise RuntimeError(f"Only {live:,} of {size:,} leases are live")


async def wait_until_idle(service: BenchService) -> None:
    deadline = time.monotonic() + IDLE_SECONDS_MAX
    before = _processor_seconds(service)
    while time.monotonic() < deadline:
        await asyncio.sleep(1)
        now = _processor_seconds(service)
        if now - before < IDLE_SHARE:
            return
        before = now


def _processor_seconds(service: BenchService) -> float:
    fields = Path(f"/proc/{service.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / TICKS_PER_SECOND


def _resident_megabytes(service: BenchService) -> float:
    status = Path(f"/proc/{service.pid}/status").read_text("ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
