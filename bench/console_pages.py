"""Time of the console's pages among few and many live leases, now and as of the past.

Each page is requested 30 times, one after the other, through a session of the tenant's key. The
creation of the large log takes minutes, so this runs only when --only names it.
"""

import statistics
import time
from pathlib import Path

import httpx2

from quorate.bench.clients import client
from quorate.bench.growth import LEASES, check_live_leases, wait_until_idle
from quorate.bench.history import DAY_SECONDS, write_live_leases
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import Row

PAGES = ("/console/", "/console/leases")
REQUESTS = 30
WARM_UP_REQUESTS = 3
BUDGET_MILLISECONDS = 300
PAST_RATIO_MAX = 3
WAITS_MAX = 200  # Of some seconds each.


async def overview(folder: Path, _seconds: float) -> list[Row]:
    found = [await _measure(folder / str(size), size) for size in LEASES]
    rows = []
    for page, (small, _), (large, past) in zip(PAGES, *found, strict=True):
        name = f"{page} among {LEASES[1]:,} live leases"
        note = f"aim: at most {BUDGET_MILLISECONDS} ms; {small:.1f} ms among {LEASES[0]:,}"
        rows += [
            Row(name=f"{name}, p50", unit="ms", value=large, note=note),
            Row(name=f"{name} / {LEASES[0]:,}", unit="ratio", value=large / small),
            Row(
                name=f"{page} of the past / present, among {LEASES[1]:,}",
                unit="ratio",
                value=past / large,
                note=f"aim: at most {PAST_RATIO_MAX}",
            ),
        ]
    return rows


async def _measure(folder: Path, size: int) -> list[tuple[float, float]]:
    """Return the medians of each page in milliseconds: of the present, and of the past."""
    (folder / "data").mkdir(parents=True, mode=0o700)
    await write_live_leases(folder / "data" / "quorate.db", size)
    async with quorate(folder, "--heartbeat-window-seconds", str(DAY_SECONDS)) as service:
        await wait_until_idle(service)
        await check_live_leases(service, size)
        async with client(service) as http:
            await _log_in(http, service)
            moment = await _wait_for_history(http, service.key) * 2 // 3
            return [
                (await _median(http, page), await _median(http, f"{page}?asOf={moment}"))
                for page in PAGES
            ]


async def _wait_for_history(http: httpx2.AsyncClient, key: str) -> int:
    """Wait until the past can be read up to the last event; return its sequence."""
    headers = {"Authorization": f"Bearer {key}"}
    head = int((await http.get("/v1/events?limit=1", headers=headers)).json()["head"])
    for _ in range(WAITS_MAX):
        page = await http.get(f"/v1/agent/agents?limit=1&asOf={head}", headers=headers)
        if page.status_code == httpx2.codes.OK:
            return head
    raise TimeoutError(page.text)


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
