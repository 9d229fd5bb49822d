"""Two replicas that share a PostgreSQL, a NATS and a folder of secrets."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.containers.servers import HOST, Containers, Local, Servers, free_port
from tests.e2e.service.service_process import Running, environment


def quorate(*words: str) -> str:
    """What a verb prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", *words],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Team:
    def __init__(self, folder: Path, kind: type[Local | Containers]) -> None:
        self.secrets = folder / "secrets"
        quorate("secrets", str(self.secrets))
        self.servers: Servers = kind(folder, self.secrets)
        try:
            quorate("db", "upgrade", "--database-url", self.servers.database_url)
        except BaseException:
            self.servers.close()
            raise
        self.ports = [free_port(), free_port()]
        self.replicas = [self._replica(folder / str(port), port) for port in self.ports]

    def start(self) -> "Team":
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

    def _replica(self, folder: Path, port: int) -> Running:
        return Running(
            folder,
            *("--port", str(port)),
            *("--database-url", self.servers.database_url),
            *("--nats-url", self.servers.nats_url),
            *("--nats-keys-file", str(self.secrets / "nats_keys.json")),
            *("--admin-key-file", str(self.secrets / "admin_key")),
            *("--api-key-file", str(self.secrets / "api_key")),
        )
