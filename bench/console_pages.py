"""Time of the console's overview among few and many live leases, on the server.

Each page is requested 30 times, one after the other, through a session of the tenant's key. The
creation of the large log takes minutes, so this runs only when --only names it.
"""

import statistics
import time
from pathlib import Path

import httpx2

from quorate.bench.clients import client
from quorate.bench.growth import LEASES, wait_until_idle
from quorate.bench.history import DAY_MINUTES, write_live_leases
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import Row

PAGES = ("/console/", "/console/leases")
REQUESTS = 30
WARM_UP_REQUESTS = 3
BUDGET_MILLISECONDS = 300


async def overview(folder: Path, _seconds: float) -> list[Row]:
    found = [await _measure(folder / str(size), size) for size in LEASES]
    rows = []
    for page, small, large in zip(PAGES, *found, strict=True):
        name = f"{page} among {LEASES[1]:,} live leases"
        note = f"aim: at most {BUDGET_MILLISECONDS} ms; {small:.1f} ms among {LEASES[0]:,}"
        rows += [
            Row(name=f"{name}, p50", unit="ms", value=large, note=note),
            Row(name=f"{name} / {LEASES[0]:,}", unit="ratio", value=large / small),
        ]
    return rows


async def _measure(folder: Path, size: int) -> list[float]:
    """Return the median of each page in milliseconds."""
    (folder / "data").mkdir(parents=True, mode=0o700)
    await write_live_leases(folder / "data" / "quorate.db", size)
    async with quorate(folder, "--heartbeat-window-seconds", str(DAY_MINUTES * 60)) as service:
        await wait_until_idle(service)
        async with client(service) as http:
            await _log_in(http, service)
            return [await _median(http, page) for page in PAGES]


async def _log_in(http: httpx2.AsyncClient, service: BenchService) -> None:
    headers = {"Origin": service.url}
    answer = await http.post("/console/login", data={"key": service.key}, headers=headers)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    http.headers["Cookie"] = cookie  # Of a page without TLS.


async def _median(http: httpx2.AsyncClient, page: str) -> float:
    delays = []
    for number in range(WARM_UP_REQUESTS + REQUESTS):
        started_at = time.perf_counter()
        answer = await http.get(page)
        elapsed = time.perf_counter() - started_at
        assert answer.status_code == httpx2.codes.OK, answer.text
        if number >= WARM_UP_REQUESTS:
            delays.append(1_000 * elapsed)
    return statistics.median(delays)
