"""`quorate serve --workers 2`: two processes on one address, each restarted when it dies."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import Operator
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import (
    FREE_PORTS,
    STOP_SECONDS_MAX,
    ServiceProcess,
    run_service,
    run_until_exit,
)
from tests.e2e.service.test_metrics import read_metrics
from tests.support.postgres import PostgresServer

WORKERS = 2
CONTACT = "user@example.com"
COMMAND_LINE_ERROR = 2


@pytest.fixture(scope="module")
def service(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    database = ("--database-url", postgres.database_url())
    folder = tmp_path_factory.mktemp("workers") / "data"
    with run_service(folder, "--workers", str(WORKERS), *database) as running:
        yield running


def workers(service: ServiceProcess) -> set[int]:
    """Return the pids of the worker processes."""
    threads = Path(f"/proc/{service.pid}/task").iterdir()
    children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    return {int(pid) for pid in children if b"spawn_main" in _command_line(pid)}


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_workers_share_one_state(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    ann, bob = await tenant.create_agents("ann", "bob")
    listener = await ann.subscribe_to_all()
    await ann.lease(ann.id, CONTACT)
    async with follow_events(tenant, last=await tenant.head()) as log:
        assert (await bob.acquire(bob.id, CONTACT)).status_code == 409
        assert (await log.event())["type"] == "LeaseConflicted"
    await listener.notification("lease_conflict")


async def test_metrics_are_added_up_and_survive_a_killed_worker(operator: Operator) -> None:
    service = operator.service
    pids = workers(service)
    before = await count_served(operator)
    for pid in pids:
        await serve_one_request(service, by=pid)
    await wait_until_served(operator, before + len(pids))

    killed = min(pids)
    os.kill(killed, signal.SIGKILL)
    await wait_until(lambda: len(workers(service)) == WORKERS and killed not in workers(service))

    assert await count_served(operator) == before + len(pids)
    await serve_one_request(service, by=max(pids))
    await wait_until_served(operator, before + len(pids) + 1)


async def serve_one_request(service: ServiceProcess, *, by: int) -> None:
    """Stop the other workers while the request waits for a worker."""
    others = workers(service) - {by}
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        async with httpx2.AsyncClient() as client:
            response = await client.get(service.url + "/livez")
        assert response.status_code == 200
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


async def count_served(operator: Operator) -> float:
    """Return the number of requests of ``serve_one_request``, whichever worker is asked."""
    page = await read_metrics(operator)
    return page.total("quorate_requests_total", operation="live", outcome="ok")


async def wait_until_served(operator: Operator, count: float) -> None:
    async def reached() -> bool:
        return await count_served(operator) == count

    await wait_until(reached)


async def test_gauges_of_several_workers_become_one_value(operator: Operator) -> None:
    async def settled() -> bool:
        page = await read_metrics(operator)
        return page.total("quorate_leader") == page.total("quorate_nats_connected") == 1

    await wait_until(settled)
    page = await read_metrics(operator)

    assert page.total("quorate_mirror_state") == 1
    assert page.total("quorate_relay_lag_events") >= 0
    assert 0 < page.total("process_open_fds") < page.total("process_max_fds")
    assert page.total("process_cpu_seconds_total") > 0
    assert not any({"pid", "worker"} & sample.labels.keys() for sample in page.samples)


async def test_killed_worker_is_replaced_while_the_other_serves(operator: Operator) -> None:
    tenant, service = await operator.create_tenant(), operator.service
    before = workers(service)
    assert len(before) == WORKERS
    killed = min(before)
    os.kill(killed, signal.SIGKILL)

    async def registers() -> bool:
        try:
            await tenant.register("while-one-is-dead")
        except httpx2.HTTPError:
            return False  # The killed worker had accepted the connection.
        return True

    await wait_until(registers)
    await wait_until(lambda: len(workers(service)) == WORKERS and killed not in workers(service))
    await wait_until(registers)


async def test_all_workers_stop_gracefully(operator: Operator) -> None:
    tenant, service = await operator.create_tenant(), operator.service
    left = workers(service)
    async with follow_events(tenant) as first, follow_events(tenant) as second:
        await asyncio.to_thread(service.stop)
        await first.end()
        await second.end()
    assert not any(_command_line(str(pid)) for pid in left)


def test_workers_end_when_the_parent_is_killed(tmp_path: Path, postgres: PostgresServer) -> None:
    database = ("--database-url", postgres.database_url())
    with run_service(tmp_path / "data", "--workers", str(WORKERS), *database) as service:
        left = workers(service)
        service.kill()

    deadline = time.monotonic() + STOP_SECONDS_MAX
    while any(_command_line(str(pid)) for pid in left):
        assert time.monotonic() < deadline, "a worker survived its parent"
        time.sleep(0.01)


def test_worker_that_cannot_start_ends_the_service_with_a_reason(tmp_path: Path) -> None:
    nowhere = ("--database-url", "postgresql+asyncpg://postgres@127.0.0.1:1/quorate")
    ended = run_until_exit(tmp_path / "data", "--workers", str(WORKERS), *FREE_PORTS, *nowhere)

    assert ended.returncode == 1
    assert "Error: A worker did not start: see the log lines above" in ended.stderr
    assert "Traceback" not in ended.stderr
