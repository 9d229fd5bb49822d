"""PostgreSQL for tests; a test is skipped with the reason where it is not installed.

The shared server keeps its data in memory where there is room. No test cuts the power, so synced
data survives the crash of a process in memory as on disk. It and its folder are removed at the end
of the test process, even if that is killed.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from quorate.bench import postgres
from quorate.bench.postgres import NotInstalled

PASSWORD = postgres.PASSWORD
# The role of the service in examples and documents, and its password.
ROLE, ROLE_PASSWORD = "quorate_service", "a long secret"
MEMORY = Path("/dev/shm")
ROOM_BYTES_MIN = 2 * 1024**3  # Containers often have 64 MiB there.
FREE_SCHEMAS_MAX = 3  # Their SQL is one argument of psql, which has 128 KiB at most.
# Waits for the end of its input, which is the end of the test process. Then it stops the server, if
# that still runs, and removes its folder. SIGQUIT also removes the shared memory of the server.
_CLEANER = """
read -r _
if pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null); then
  kill -CONT "$pid"
  kill -QUIT "$pid"
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
fi
rm -rf "$1"
"""


class PostgresServer(postgres.PostgresServer):
    """A server that skips the test instead of raising NotInstalled."""

    def __init__(self, folder: Path | None = None, **configuration: str) -> None:
        try:
            super().__init__(folder, **configuration)
        except NotInstalled as missing:
            pytest.skip(str(missing))
        self._free_schemas: list[str] = []  # Created with their tables, and unused.
        self._last_created = 0

    def database_url(self, schema: str | None = None) -> str:
        """Return the URL of a schema; unnamed schemas are created in growing groups."""
        if schema is not None:
            return super().database_url(schema)
        if not self._free_schemas:
            self._last_created = min(2 * self._last_created + 1, FREE_SCHEMAS_MAX)
            self._free_schemas = [f"t_{uuid4().hex[:16]}" for _ in range(self._last_created)]
            self.run_sql("".join(postgres.schema_sql(name) for name in self._free_schemas))
        return self.url(schema=self._free_schemas.pop())


_shared: list[PostgresServer] = []
_cleaners: list["subprocess.Popen[bytes]"] = []


def shared() -> PostgresServer:
    """Return the server that the tests of this process share; start it at the first call."""
    if not _shared:
        server = PostgresServer(_create_memory_folder())
        _shared.append(server)
        _cleaners.append(_start_cleaner(server.folder.parent))
        server.start()
    return _shared[0]


def _start_cleaner(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["sh", "-c", _CLEANER, "sh", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _create_memory_folder() -> Path | None:
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES_MIN:
        return None
    return Path(tempfile.mkdtemp(prefix="quorate-postgres-", dir=MEMORY))


def shared_with_role() -> PostgresServer:
    """Return the shared server after creating the role ROLE."""
    server = shared()
    if ROLE not in server.run_sql("SELECT rolname FROM pg_roles").splitlines():
        server.run_sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}'")
    return server


def remove_shared() -> None:
    while _shared:
        _shared.pop().remove()
    while _cleaners:
        _cleaners.pop().communicate()
