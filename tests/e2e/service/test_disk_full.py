"""On a full or failing disk, commands are rejected and no acknowledged command is lost.

When the disk works again, the service continues automatically.
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
REJECTIONS_IN_A_ROW = 5
COMMANDS_MAX = 20_000
ROLE_LENGTH = 64
TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.05


# -- Faults -------------------------------------------------------------------


@contextmanager
def failing_syncs(service: ServiceProcess) -> Iterator[None]:
    """Make every sync of the service process fail with an input/output error."""
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
    status = tracer.stderr.readline()  # Says that strace is attached, or why not.
    if b"attached" not in status:
        tracer.kill()
        tracer.wait()
        pytest.skip(f"tracing is not permitted here: {status.decode(errors='replace').strip()}")
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()


# -- Guarantees ---------------------------------------------------------------


async def register(tenant: Tenant, number: int) -> tuple[int, Json]:
    name = f"agent-{number}"
    body = {"agentName": name, "agentRole": f"{number:x}" * (ROLE_LENGTH // len(f"{number:x}"))}
    headers = {"Idempotency-Key": name}
    response = await tenant.request("POST", f"{AGENT}/register", body, headers=headers)
    if response.status_code != 200:
        assert response.status_code == 503, response.text
        assert response.json()["code"] == "unavailable"
        assert int(response.headers["retry-after"]) >= 1
    return response.status_code, response.json()


async def register_until_rejected(tenant: Tenant) -> list[str]:
    """Register agents until commands are rejected; return the acknowledged names."""
    acknowledged: list[str] = []
    rejections = 0
    for number in range(COMMANDS_MAX):
        status, response = await register(tenant, number)
        if status == 200:
            acknowledged.append(response["agentName"])
            rejections = 0
        else:
            rejections += 1
        if rejections == REJECTIONS_IN_A_ROW:
            return acknowledged
    raise AssertionError("no command was rejected")


async def wait_until_accepted(tenant: Tenant, acknowledged: list[str]) -> str:
    """Wait for an accepted command; assert that each acknowledged command is recorded once.

    Returns the name of the first accepted agent.
    """
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (response := await register(tenant, COMMANDS_MAX))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)  # A disk sends no notification.
    events = await tenant.events("AgentRegistered")
    names = [event["data"]["agentName"] for event in events]
    assert len(names) == len(set(names))
    assert set(acknowledged) <= set(names)
    sequences = [event["sequence"] for event in await tenant.events()]
    assert sequences == list(range(1, len(sequences) + 1))
    return str(response[1]["agentName"])


async def expect_readable(tenant: Tenant, acknowledged: list[str]) -> None:
    assert len(await tenant.events("AgentRegistered")) >= len(acknowledged)


async def test_full_disk_rejects_commands_until_space_is_free(tmp_path: Path) -> None:
    with small_disk(tmp_path, DEVICE_BYTES) as disk, run_service(disk / "data") as service:
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            with fill_disk(disk):
                acknowledged = await register_until_rejected(tenant)
                await expect_readable(tenant, acknowledged)
            await wait_until_accepted(tenant, acknowledged)


async def test_read_only_disk_allows_reads_until_remounted(tmp_path: Path) -> None:
    with failing_disk(tmp_path, DEVICE_BYTES) as disk, run_service(disk.folder / "data") as service:
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            acknowledged = [await wait_until_accepted(tenant, [])]
            with disk.failing():
                assert await register_until_rejected(tenant) == []
                disk.turn_read_only()
                assert (await register(tenant, 0))[0] == 503
                await expect_readable(tenant, acknowledged)
                service.stop()
            disk.remount()
            service.start()
            await tenant.connection.reconnect()
            await wait_until_accepted(tenant, acknowledged)


async def test_failed_sync_acknowledges_no_command(tmp_path: Path) -> None:
    with run_service(tmp_path / "data") as service:
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            with failing_syncs(service):
                acknowledged = await register_until_rejected(tenant)
            assert acknowledged == []
            await wait_until_accepted(tenant, acknowledged)


async def test_full_postgresql_disk_rejects_commands_until_space_is_free(tmp_path: Path) -> None:
    """PostgreSQL may stop on a full disk; the operator only has to restart it."""
    accessible = Path(
        tempfile.mkdtemp(prefix="quorate-postgres-")
    )  # PostgreSQL runs as another user.
    with small_disk(accessible, CLUSTER_BYTES) as disk:
        home = disk / "cluster"
        home.mkdir()
        server = PostgresServer(home)
        server.start()
        try:
            await _fill_and_recover(server, disk, tmp_path / "data")
        finally:
            server.remove()
    accessible.rmdir()


async def _fill_and_recover(server: PostgresServer, disk: Path, data_dir: Path) -> None:
    with run_service(data_dir, "--database-url", server.database_url()) as service:
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            with fill_disk(disk):
                acknowledged = await register_until_rejected(tenant)
            if not server.runs():
                server.start()
            await wait_until_accepted(tenant, acknowledged)
