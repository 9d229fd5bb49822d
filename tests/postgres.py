"""A real PostgreSQL for tests; where there is none, whoever asks for it is skipped and told why."""

from pathlib import Path

import pytest

from quorate.bench import postgres
from quorate.bench.postgres import NotInstalled

PASSWORD = postgres.PASSWORD
# The role that examples and documents let serve, and its password.
ROLE, ROLE_PASSWORD = "quorate_service", "a long secret"


class PostgresServer(postgres.PostgresServer):
    """As it is, and skips instead of raising NotInstalled."""

    def __init__(self, folder: Path | None = None, **configuration: str) -> None:
        try:
            super().__init__(folder, **configuration)
        except NotInstalled as missing:
            pytest.skip(str(missing))


_shared: list[PostgresServer] = []


def shared() -> PostgresServer:
    """The one that this process's tests share, started when it is first asked for."""
    if not _shared:
        server = PostgresServer()
        _shared.append(server)
        server.start()
    return _shared[0]


def with_role() -> PostgresServer:
    """The shared one, where that role may log in."""
    server = shared()
    if ROLE not in server.run_sql("SELECT rolname FROM pg_roles").splitlines():
        server.run_sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}'")
    return server


def remove_shared() -> None:
    while _shared:
        _shared.pop().remove()
