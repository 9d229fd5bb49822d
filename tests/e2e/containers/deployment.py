"""Two replicas that share PostgreSQL, NATS and a directory of secrets."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.containers.servers import HOST, ContainerServers, LocalServers, Servers, free_port
from tests.e2e.service.service_process import ServiceProcess, environment


def run_cli(*words: str) -> str:
    """Run a `quorate` command, require success, and return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", *words],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Deployment:
    def __init__(self, folder: Path, kind: type[LocalServers | ContainerServers]) -> None:
        self.secrets = folder / "secrets"
        run_cli("secrets", str(self.secrets))
        self.servers: Servers = kind(folder, self.secrets)
        try:
            run_cli("db", "upgrade", "--database-url", self.servers.database_url)
        except BaseException:
            self.servers.close()
            raise
        self.ports = [free_port(), free_port()]
        self.replicas = [self._replica(folder / str(port), port) for port in self.ports]

    def start(self) -> "Deployment":
        for replica in self.replicas:
            replica.start()
        return self

    def close(self) -> None:
        try:
            for replica in self.replicas:
                replica.end()
        finally:
            self.servers.close()

    @property
    def api_key(self) -> str:
        return (self.secrets / "api_key").read_text().strip()

    @property
    def urls(self) -> list[str]:
        return [f"http://{HOST}:{port}" for port in self.ports]

    def _replica(self, folder: Path, port: int) -> ServiceProcess:
        return ServiceProcess(
            folder,
            *("--port", str(port)),
            *("--database-url", self.servers.database_url),
            *("--nats-url", self.servers.nats_url),
            *("--nats-keys-file", str(self.secrets / "nats_keys.json")),
            *("--admin-key-file", str(self.secrets / "admin_key")),
            *("--api-key-file", str(self.secrets / "api_key")),
        )
