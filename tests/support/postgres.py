"""A real PostgreSQL for tests; where there is none, whoever asks for it is skipped and told why.

The one that tests share keeps its data in memory where there is room: no test cuts the power, and
what PostgreSQL syncs is there for whoever comes after a crash either way.
"""

import shutil
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from quorate.bench import postgres
from quorate.bench.postgres import NotInstalled

PASSWORD = postgres.PASSWORD
# The role that examples and documents let serve, and its password.
ROLE, ROLE_PASSWORD = "quorate_service", "a long secret"
MEMORY = Path("/dev/shm")
ROOM_BYTES_MIN = 2 * 1024**3  # Containers often have 64 MiB there.
STOCK_LENGTH_MAX = 8


class PostgresServer(postgres.PostgresServer):
    """As it is, and skips instead of raising NotInstalled."""

    def __init__(self, folder: Path | None = None, **configuration: str) -> None:
        try:
            super().__init__(folder, **configuration)
        except NotInstalled as missing:
            pytest.skip(str(missing))
        self._stock: list[str] = []  # Schemas with their tables, which nobody has yet.
        self._stocked = 0

    def database_url(self, schema: str | None = None) -> str:
        """As it is; but places without a name are made several at once, more each time."""
        if schema is not None:
            return super().database_url(schema)
        if not self._stock:
            self._stocked = min(2 * self._stocked + 1, STOCK_LENGTH_MAX)
            self._stock = [f"t_{uuid4().hex[:16]}" for _ in range(self._stocked)]
            self.run_sql("".join(postgres.place(name) for name in self._stock))
        return self.url(schema=self._stock.pop())


_shared: list[PostgresServer] = []


def shared() -> PostgresServer:
    """The one that this process's tests share, started when it is first asked for."""
    if not _shared:
        server = PostgresServer(_in_memory())
        _shared.append(server)
        server.start()
    return _shared[0]


def _in_memory() -> Path | None:
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES_MIN:
        return None
    return Path(tempfile.mkdtemp(prefix="quorate-postgres-", dir=MEMORY))


def with_role() -> PostgresServer:
    """The shared one, where that role may log in."""
    server = shared()
    if ROLE not in server.run_sql("SELECT rolname FROM pg_roles").splitlines():
        server.run_sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}'")
    return server


def remove_shared() -> None:
    while _shared:
        _shared.pop().remove()
