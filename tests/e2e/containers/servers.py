"""External PostgreSQL and NATS servers: as local processes, or in containers.

Both kinds have the same configuration, keep addresses and data across a restart, and are removed by
``close``. A test does not depend on the kind.
"""

import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Protocol

import httpx2
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from quorate.bench.postgres import PASSWORD, USER
from tests.e2e.containers.docker_engine import image
from tests.e2e.service.service_process import environment
from tests.support.postgres import PostgresServer

READY_SECONDS_MAX = 90.0
POLL_SECONDS = 0.02
HOST = "127.0.0.1"
NATS_PORT, MONITOR_PORT, POSTGRES_PORT = 4222, 8222, 5432
STOP_SECONDS_MAX = 10


class Servers(Protocol):
    """Created with a directory of secrets from `quorate secrets`."""

    database_url: str
    nats_url: str

    def restart_database(self) -> None: ...

    def restart_nats(self) -> None: ...

    def close(self) -> None: ...


class LocalServers:
    def __init__(self, folder: Path, secrets: Path) -> None:
        port, monitor = free_port(), free_port()
        self._postgres = PostgresServer()
        self._configuration = folder / "nats.conf"
        self._configuration.write_text(
            nats_configuration(
                secrets,
                listen=f"{HOST}:{port}",
                monitor=f"{HOST}:{monitor}",
                store=folder / "jetstream",
            )
        )
        self._monitor = monitor
        self._log = folder / "nats.log"
        self._nats: subprocess.Popen[bytes] | None = None
        self.nats_url = f"nats://{HOST}:{port}"
        try:
            self._postgres.start()
            self._start_nats()
        except BaseException:
            self.close()
            raise
        self.database_url = self._postgres.url()

    def restart_database(self) -> None:
        self._postgres.restart()

    def restart_nats(self) -> None:
        self._stop_nats()
        self._start_nats()

    def close(self) -> None:
        self._stop_nats()
        self._postgres.remove()

    def _start_nats(self) -> None:
        program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        assert program is not None
        with self._log.open("ab") as log:
            self._nats = subprocess.Popen([program, "-c", self._configuration], stderr=log)
        wait_until_healthy(self._monitor)

    def _stop_nats(self) -> None:
        if self._nats is not None:
            self._nats.send_signal(signal.SIGKILL)
            self._nats.wait()
            self._nats = None


class ContainerServers:
    def __init__(self, folder: Path, secrets: Path) -> None:
        port, monitor, database = free_port(), free_port(), free_port()
        configuration = folder / "nats.conf"
        configuration.write_text(
            nats_configuration(
                secrets,
                listen=f"0.0.0.0:{NATS_PORT}",
                monitor=f"0.0.0.0:{MONITOR_PORT}",
                store=Path("/data"),
            )
        )
        self._monitor = monitor
        # Docker would choose another port after a restart.
        self._nats = (
            DockerContainer(image("nats-1"))
            .with_command(["-c", "/quorate-nats.conf"])
            .with_copy_into_container(configuration, "/quorate-nats.conf")
            .with_bind_ports(NATS_PORT, port)
            .with_bind_ports(MONITOR_PORT, monitor)
        )
        self._postgres = PostgresContainer(
            image("postgres"), username=USER, password=PASSWORD, dbname=USER
        ).with_bind_ports(POSTGRES_PORT, database)
        self.nats_url = f"nats://{HOST}:{port}"
        self.database_url = f"postgresql+asyncpg://{USER}:{PASSWORD}@{HOST}:{database}/{USER}"
        try:
            self._postgres.start()
            self._nats.start()
            wait_until_healthy(monitor)
        except BaseException:
            self.close()
            raise

    def restart_database(self) -> None:
        self._postgres.get_wrapped_container().restart(timeout=STOP_SECONDS_MAX)
        self._postgres._connect()

    def restart_nats(self) -> None:
        container = self._nats.get_wrapped_container()
        container.kill()
        container.start()
        wait_until_healthy(self._monitor)

    def close(self) -> None:
        for container in (self._postgres, self._nats):
            container.stop(force=True)


def nats_configuration(secrets: Path, *more: str, listen: str, monitor: str, store: Path) -> str:
    """Return the output of `quorate nats-config` for the keys in a directory of secrets."""
    command = [sys.executable, "-m", "quorate.cli.main", "nats-config"]
    options = {
        "--nats-keys-file": str(secrets / "nats_keys.json"),
        "--listen": listen,
        "--monitor": monitor,
        "--store-dir": str(store),
    }
    printed = subprocess.run(
        [*command, *(word for option in options.items() for word in option), *more],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return printed.stdout


def wait_until_healthy(monitor_port: int) -> None:
    """Return when the nats-server reports that it is healthy."""
    wait_until_reachable(f"http://{HOST}:{monitor_port}/healthz")


def wait_until_reachable(url: str) -> None:
    """Return when the URL is answered with a success status."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            if httpx2.get(url).is_success:
                return
        except httpx2.HTTPError:
            pass
        assert time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
    return port
