"""`quorate nats-config` and `--nats-url`: the service with an external nats-server."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.service.http_clients import Operator
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess, environment


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def configuration(data_dir: Path, listen: str, store: Path) -> str:
    command = [sys.executable, "-m", "quorate.cli.main", "nats-config", "--data-dir", str(data_dir)]
    printed = subprocess.run(
        [*command, "--listen", listen, "--store-dir", str(store)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return printed.stdout


@contextmanager
def nats_server(file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    binary = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    assert binary is not None
    server = subprocess.Popen([binary, "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.kill()
        server.wait()


async def ready(operator: Operator) -> str:
    return str(json.loads((await operator.http.get("/readyz")).content)["status"])


async def test_notifications_and_commands_survive_a_nats_restart(tmp_path: Path) -> None:
    data_dir, listen = tmp_path / "data", f"127.0.0.1:{free_port()}"
    file = tmp_path / "nats.conf"
    file.write_text(configuration(data_dir, listen, tmp_path / "store"))
    service = ServiceProcess(data_dir, "--nats-url", f"nats://{listen}")

    with nats_server(file) as server:
        service.start()
        operator = Operator(service)
        try:
            tenant = await operator.create_tenant()
            holder, rival = await tenant.create_agents("holder", "rival")
            listener = await rival.subscribe_to_all()
            await holder.lease(holder.id, "user@example.com")
            await rival.acquire(rival.id, "user@example.com")
            assert (await listener.notification("lease_conflict"))["data"]["conflict"] is True
            assert await ready(operator) == "ready"
            await listener.close()

            os.kill(server.pid, signal.SIGKILL)

            async def degraded() -> bool:
                return await ready(operator) == "degraded"

            await wait_until(degraded)
            assert (await rival.acquire(rival.id, "user@example.com")).status_code == 409
        finally:
            await operator.close()
            service.end()
