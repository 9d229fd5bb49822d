"""A disk that is full, or cannot sync: commands are refused, and nothing acknowledged is lost.

When the disk is well again, the service goes on by itself.
"""

import asyncio
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.service.http_clients import AGENT, Tenant, connect_operator
from tests.e2e.service.service_process import Json, ServiceProcess, run_service
from tests.support.failing_disk import failing_disk
from tests.support.postgres import PostgresServer
from tests.support.small_disk import fill_disk, small_disk

DEVICE_BYTES = 48 * 1024 * 1024
CLUSTER_BYTES = 160 * 1024 * 1024  # PostgreSQL's own files and two segments of its log.
REFUSED_IN_A_ROW = 5
COMMANDS_MAX = 20_000
ROLE_LENGTH = 64
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.05


# -- What can happen to a disk ------------------------------------------------


@contextmanager
def no_sync_succeeds(service: ServiceProcess) -> Iterator[None]:
    """Every sync of the service's process ends with an input/output error."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    process = service.pid
    calls = "fsync,fdatasync"
    tracer = subprocess.Popen(
        [
            strace,
            "-f",
            "-p",
            str(process),
            "-e",
            f"inject={calls}:error=EIO",
            "-e",
            f"trace={calls}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()  # That it is attached, or why not.
    if b"attached" not in said:
        tracer.kill()
        tracer.wait()
        pytest.skip(f"no process may be traced here: {said.decode(errors='replace').strip()}")
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()


# -- What must hold -----------------------------------------------------------


async def register(tenant: Tenant, number: int) -> tuple[int, Json]:
    name = f"agent-{number}"
    body = {"agentName": name, "agentRole": f"{number:x}" * (ROLE_LENGTH // len(f"{number:x}"))}
    headers = {"Idempotency-Key": name}
    answer = await tenant.request("POST", f"{AGENT}/register", body, headers=headers)
    if answer.status_code != 200:
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    return answer.status_code, answer.json()


async def until_refused(tenant: Tenant) -> list[str]:
    """The agents of whom the service said that they are registered."""
    acknowledged: list[str] = []
    refused = 0
    for number in range(COMMANDS_MAX):
        status, answer = await register(tenant, number)
        if status == 200:
            acknowledged.append(answer["agentName"])
            refused = 0
        else:
            refused += 1
        if refused == REFUSED_IN_A_ROW:
            return acknowledged
    raise AssertionError("it was never refused")


async def goes_on(tenant: Tenant, acknowledged: list[str]) -> str:
    """With all that it acknowledged; each exactly once. Returns the agent that it takes first."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answer := await register(tenant, COMMANDS_MAX))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)  # A disk has no event.
    events = await tenant.events("AgentRegistered")
    names = [event["data"]["agentName"] for event in events]
    assert len(names) == len(set(names))
    assert set(acknowledged) <= set(names)
    sequences = [event["sequence"] for event in await tenant.events()]
    assert sequences == list(range(1, len(sequences) + 1))
    return str(answer[1]["agentName"])


async def reads_go_on(tenant: Tenant, acknowledged: list[str]) -> None:
    assert len(await tenant.events("AgentRegistered")) >= len(acknowledged)


async def test_full_disk_rejects_commands_until_space_is_free(tmp_path: Path) -> None:
    with small_disk(tmp_path, DEVICE_BYTES) as disk, run_service(disk / "data") as service:
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            with fill_disk(disk):
                acknowledged = await until_refused(tenant)
                await reads_go_on(tenant, acknowledged)
            await goes_on(tenant, acknowledged)


async def test_read_only_disk_allows_reads_until_remounted(tmp_path: Path) -> None:
    with failing_disk(tmp_path, DEVICE_BYTES) as disk, run_service(disk.folder / "data") as service:
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            acknowledged = [await goes_on(tenant, [])]
            with disk.failing():
                assert await until_refused(tenant) == []
                disk.turn_read_only()
                assert (await register(tenant, 0))[0] == 503
                await reads_go_on(tenant, acknowledged)
                service.stop()
            disk.remount()
            service.start()
            await tenant.connection.reconnect()
            await goes_on(tenant, acknowledged)


async def test_failed_sync_acknowledges_no_command(tmp_path: Path) -> None:
    with run_service(tmp_path / "data") as service:
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            with no_sync_succeeds(service):
                acknowledged = await until_refused(tenant)
            assert acknowledged == []
            await goes_on(tenant, acknowledged)


async def test_full_postgresql_disk_rejects_commands_until_space_is_free(tmp_path: Path) -> None:
    """It may stop altogether then; whoever looks after it starts it again, and nothing else."""
    within_reach = Path(tempfile.mkdtemp(prefix="quorate-postgres-"))  # Of another user.
    with small_disk(within_reach, CLUSTER_BYTES) as disk:
        home = disk / "cluster"
        home.mkdir()
        server = PostgresServer(home)
        server.start()
        try:
            await _fills_up(server, disk, tmp_path / "data")
        finally:
            server.remove()
    within_reach.rmdir()


async def _fills_up(server: PostgresServer, disk: Path, data_dir: Path) -> None:
    with run_service(data_dir, "--database-url", server.database_url()) as service:
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            with fill_disk(disk):
                acknowledged = await until_refused(tenant)
            if not server.runs():
                server.start()
            await goes_on(tenant, acknowledged)
