"""Whether a command costs the same however much there is: live leases, or events in the log.

The first measurement is of a small service and the second of a large one, with the same load, one
right after the other. Making the large one takes minutes, so these rows are measured when asked
for.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from quorate.bench import wrk
from quorate.bench.history import DAY_MINUTES, write_history, write_live_leases
from quorate.bench.processes import Running, quorate
from quorate.bench.report import Row
from quorate.bench.scenarios import AGENTS, LEASE, load, register

LEASES = (1_000, 1_000_000)
EVENTS = (10_000, 2_000_000)
QUIET_SHARE = 0.05  # Of a processor: the check of the whole log, which a start begins, has ended.
QUIET_SECONDS_MAX = 600.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
Write = Callable[[Path, int], Awaitable[object]]


async def live_leases(folder: Path, seconds: float) -> list[Row]:
    return await _small_and_large(folder, seconds, "live leases", LEASES, write_live_leases)


async def events(folder: Path, seconds: float) -> list[Row]:
    """Every lease of the past was released: none is left for the service to end at its start."""
    settled = partial(write_history, kept_of=0)
    return await _small_and_large(folder, seconds, "events", EVENTS, settled)


async def _small_and_large(
    folder: Path, seconds: float, what: str, sizes: tuple[int, int], write: Write
) -> list[Row]:
    if (why := wrk.available()) is not None:
        return [Row(name=f"acquisitions among {what}", unit="commands/s", value=None, note=why)]
    rows = [await _among(folder / str(size), seconds, what, size, write) for size in sizes]
    small, large = (row.value or 0.0 for row in rows)
    name = f"acquisitions: {sizes[1]:,} {what} / {sizes[0]:,} (aim above 0.83)"
    return [*rows, Row(name=name, unit="ratio", value=large / small)]


async def _among(folder: Path, seconds: float, what: str, size: int, write: Write) -> Row:
    (folder / "data").mkdir(parents=True, mode=0o700)
    await write(folder / "data" / "quorate.db", size)
    async with quorate(folder, "--heartbeat-window-seconds", str(DAY_MINUTES * 60)) as service:
        await _quiet(service)
        await register(service, AGENTS)
        found = await load(service, "acquire.lua", LEASE, seconds, AGENTS)
        resident = _resident_megabytes(service)
    note = f"p99 {found.p99_milliseconds:.1f} ms; {resident:.0f} MB resident"
    name = f"acquisitions among {size:,} {what}"
    return Row(name=name, unit="commands/s", value=found.rate, note=note)


async def _quiet(service: Running) -> None:
    until = time.monotonic() + QUIET_SECONDS_MAX
    before = _processor_seconds(service)
    while time.monotonic() < until:
        await asyncio.sleep(1)
        now = _processor_seconds(service)
        if now - before < QUIET_SHARE:
            return
        before = now


def _processor_seconds(service: Running) -> float:
    fields = Path(f"/proc/{service.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / TICKS_PER_SECOND


def _resident_megabytes(service: Running) -> float:
    status = Path(f"/proc/{service.pid}/status").read_text("ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
