"""PostgreSQL and NATS that somebody else runs: as programs of this machine, or in containers.

Both kinds are told the same, keep their addresses and their data when they are restarted, and are
gone when they are closed. No test knows which kind it runs on.
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

READY_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.02
HOST = "127.0.0.1"
NATS_PORT, MONITOR_PORT, POSTGRES_PORT = 4222, 8222, 5432
STOP_SECONDS_MAX = 10


class Servers(Protocol):
    """``secrets`` is a folder that `quorate secrets` has filled."""

    database_url: str
    nats_url: str

    def restart_database(self) -> None: ...

    def restart_nats(self) -> None: ...

    def close(self) -> None: ...


class Local:
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
        self._end_nats()
        self._start_nats()

    def close(self) -> None:
        self._end_nats()
        self._postgres.remove()

    def _start_nats(self) -> None:
        program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        assert program is not None
        with self._log.open("ab") as log:
            self._nats = subprocess.Popen([program, "-c", self._configuration], stderr=log)
        until_well(self._monitor)

    def _end_nats(self) -> None:
        if self._nats is not None:
            self._nats.send_signal(signal.SIGKILL)
            self._nats.wait()
            self._nats = None


class Containers:
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
        # A port that Docker chooses would be another one after a restart.
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
            until_well(monitor)
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
        until_well(self._monitor)

    def close(self) -> None:
        for container in (self._postgres, self._nats):
            container.stop(force=True)


def nats_configuration(secrets: Path, *more: str, listen: str, monitor: str, store: Path) -> str:
    """What `quorate nats-config` prints for the keys in a folder of secrets."""
    verb = [sys.executable, "-m", "quorate.cli.main", "nats-config"]
    options = {
        "--nats-keys-file": str(secrets / "nats_keys.json"),
        "--listen": listen,
        "--monitor": monitor,
        "--store-dir": str(store),
    }
    printed = subprocess.run(
        [*verb, *(word for option in options.items() for word in option), *more],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return printed.stdout


def until_well(monitor_port: int) -> None:
    """Return when a nats-server says that it is well."""
    until_answered(f"http://{HOST}:{monitor_port}/healthz")


def until_answered(url: str) -> None:
    """Return when something answers there, and well."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            if httpx2.get(url).is_success:
                return
        except httpx2.HTTPError:
            pass
        assert time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(LOOK_SECONDS)


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
    return port
