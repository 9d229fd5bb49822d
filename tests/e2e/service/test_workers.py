"""`quorate serve --workers 2`: two processes on one address, each restarted when it dies."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from quorate.server import workers as supervising
from quorate.server.workers import READY, Worker
from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import Operator
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess, run_service, run_until_exit
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
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    return {int(pid) for pid in children if b"--worker-socket" in _command_line(pid)}


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


async def test_metrics_include_all_workers(operator: Operator) -> None:
    await operator.create_tenant()
    expected = {f'worker="{pid}"' for pid in workers(operator.service)}

    async def complete() -> bool:
        page = (await operator.http.get("/metrics")).text
        leaders = [line for line in page.splitlines() if line.startswith("quorate_leader{")]
        return {line.partition("{")[2].partition("}")[0] for line in leaders} == expected and sum(
            float(line.split()[-1]) for line in leaders
        ) == 1

    await wait_until(complete)


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


class FakeProcess:
    """A process that is ready immediately; the first one exits."""

    pid, returncode = 0, None

    def __init__(self, number: int) -> None:
        self._lives = number > 1
        self.stdout = self._output()

    async def _output(self) -> AsyncIterator[bytes]:
        yield READY.encode()

    async def wait(self) -> int:
        if self._lives:
            await asyncio.Event().wait()
        return 1


async def test_worker_that_cannot_start_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = 0

    async def spawn(*_arguments: object, **_more: object) -> FakeProcess:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise BlockingIOError("planted: too many processes")
        return FakeProcess(tries)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn)
    monkeypatch.setattr(supervising, "PAUSE_SECONDS_MIN", 0.001)
    worker = Worker([], 0)
    await worker.start()
    supervisor = asyncio.create_task(worker.supervise())

    await wait_until(lambda: tries == 3)

    supervisor.cancel()
    await asyncio.wait([supervisor])


async def test_all_workers_stop_gracefully(operator: Operator) -> None:
    tenant, service = await operator.create_tenant(), operator.service
    left = workers(service)
    async with follow_events(tenant) as first, follow_events(tenant) as second:
        await asyncio.to_thread(service.stop)
        await first.end()
        await second.end()
    assert not any(_command_line(str(pid)) for pid in left)


def test_several_workers_on_sqlite_are_rejected_with_a_reason(data_dir: Path) -> None:
    ended = run_until_exit(data_dir, "--workers", "2")

    assert ended.returncode == COMMAND_LINE_ERROR
    assert "--workers greater than 1 is not supported" in ended.stderr
    assert "PostgreSQL" in ended.stderr
    assert not data_dir.exists()
