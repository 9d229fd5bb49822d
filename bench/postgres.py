"""A temporary PostgreSQL server for benchmarks and tests, on the loopback interface.

* It uses the installed PostgreSQL. Debian does not put its server programs into PATH.
* It is durable: the service rejects a server whose fsync is off.
* PostgreSQL does not run as root, so as root its programs run as ``postgres`` or ``nobody``.
* Each user gets a schema in one database, which is cheap, and an option that operators have too.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_mock_engine
from sqlalchemy.schema import ExecutableDDLElement

from quorate.eventlog.ids import new_log_id
from quorate.eventlog.tables import identity
from quorate.eventlog.tables import metadata as log_metadata
from quorate.projections.history.tables import PROGRESS_ID, progress
from quorate.projections.history.tables import metadata as history_metadata
from quorate.projections.migrations.revisions import NEWEST, version
from quorate.projections.tables import metadata

LOOPBACK = "127.0.0.1"
USER = "quorate"
PASSWORD = "of-a-passing-server"  # noqa: S105
DATABASE = "quorate"
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 20.0
DEBIAN = Path("/usr/lib/postgresql")
UNPRIVILEGED = ("postgres", "nobody")
CONFIGURATION = {
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
    "timezone": "Europe/Paris",  # Differs from UTC, so that no code can depend on it.
}


class NotInstalled(Exception):
    """PostgreSQL is not installed on this machine."""


def find_programs() -> Path | None:
    """Return the folder of initdb and postgres of the newest installed version."""
    if (named := shutil.which("initdb")) is not None:
        return Path(named).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


class PostgresServer:
    """One cluster in a temporary folder, or in ``folder``, which its user must be able to enter.

    ``start`` may be called again after any end of the server. ``remove`` deletes the folder.
    """

    def __init__(self, folder: Path | None = None, **configuration: str) -> None:
        found = find_programs()
        if found is None:
            raise NotInstalled(
                "PostgreSQL is not installed (on Debian: apt-get install postgresql)"
            )
        self._programs = found
        self._configuration = {**CONFIGURATION, **configuration}
        self._user = _unprivileged()
        self._home = folder or Path(tempfile.mkdtemp(prefix="quorate-postgres-"))
        self._home.chmod(0o755)  # Temporary folders of pytest are closed to other users.
        self.folder = self._home / "data"
        self.log = self._home / "log"
        self.port = _free_port()
        # This file exists until the database is created.
        self._database_missing = self._home / "database_missing"
        self._process: subprocess.Popen[bytes] | None = None

    # -- Start and stop ----------------------------------------------------------

    def start(self) -> None:
        """Start the server; return when it accepts connections."""
        if not (self.folder / "PG_VERSION").exists():
            self._initialize()
        options = {**self._configuration, "port": str(self.port), "listen_addresses": LOOPBACK}
        command = [str(self._programs / "postgres"), "-D", str(self.folder)]
        for name, value in {**options, "unix_socket_directories": ""}.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user
            )
        self._wait_until_ready()

    def stop(self, signal_number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT is a clean stop, SIGQUIT a crash that needs recovery."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal_number)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def runs(self) -> bool:
        """Whether the server runs. It ends itself when its disk is full."""
        return self._process is not None and self._process.poll() is None

    def restart(self, signal_number: signal.Signals = signal.SIGQUIT) -> None:
        self.stop(signal_number)
        self.start()

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._home, ignore_errors=True)

    def pause(self) -> None:
        """Freeze all processes of the server: connections stay open without responses."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [self._process.pid, *map(int, children.read_text().split())]

    # -- Schemas -----------------------------------------------------------------

    def url(self, *, schema: str | None = None) -> str:
        base = f"postgresql+asyncpg://{USER}:{PASSWORD}@{LOOPBACK}:{self.port}/{DATABASE}"
        return base if schema is None else f"{base}?schema={schema}"

    def database_url(self, schema: str | None = None) -> str:
        """Create an unused schema with all tables, as `quorate db upgrade` does; return its URL."""
        name = schema or f"t_{uuid4().hex[:16]}"
        self.run_sql(schema_sql(name))
        return self.url(schema=name)

    def empty_url(self) -> str:
        """Return the URL of an unused schema without tables."""
        return self.url(schema=f"t_{uuid4().hex[:16]}")

    def run_sql(self, statements: str, *, schema: str | None = None) -> str:
        """Run SQL as the superuser; return its output, one row per line."""
        options = {"PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": "5"}
        if schema is not None:
            options["PGOPTIONS"] = f"-csearch_path={schema}"
        done = subprocess.run(
            [
                str(self._programs / "psql"),
                *("-h", LOOPBACK, "-p", str(self.port), "-U", USER, "-d", DATABASE),
                *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements),
            ],
            env={**os.environ, **options},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # -- Initialization ------------------------------------------------------------

    def _initialize(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        with tempfile.NamedTemporaryFile("w", suffix=".password") as password:
            password.write(PASSWORD)
            password.flush()
            if self._user is not None:
                shutil.chown(password.name, self._user)
            subprocess.run(
                [
                    str(self._programs / "initdb"),
                    *("-D", str(self.folder), "-U", USER, f"--pwfile={password.name}"),
                    *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
                ],
                check=True,
                capture_output=True,
                cwd="/",
                user=self._user,
            )
        self._database_missing.touch()

    def _wait_until_ready(self) -> None:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        deadline = time.monotonic() + START_SECONDS_MAX
        assert self._process is not None
        while subprocess.run(ready, check=False).returncode:
            assert self._process.poll() is None, self._read_log()
            assert time.monotonic() < deadline, self._read_log()
            time.sleep(0.02)
        if self._database_missing.exists():
            self._create_database()
            self._database_missing.unlink()

    def _create_database(self) -> None:
        subprocess.run(
            [
                str(self._programs / "createdb"),
                *("-h", LOOPBACK, "-p", str(self.port), "-U", USER, DATABASE),
            ],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            check=True,
            capture_output=True,
        )

    def _read_log(self) -> str:
        return self.log.read_text(errors="replace")


def schema_sql(schema: str) -> str:
    """Return SQL that creates a schema with the current tables."""
    named = f"INSERT INTO {identity.name} VALUES ('{new_log_id()}')"  # noqa: S608 - constants.
    return f'CREATE SCHEMA "{schema}"; SET search_path = "{schema}"; {_tables()}; {named};'


@cache
def _tables() -> str:
    """Return SQL that creates the current tables; many times faster than the migrations."""
    statements: list[str] = []

    def collect(statement: ExecutableDDLElement, *_: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("postgresql+asyncpg://", collect)
    for each in (log_metadata, metadata, history_metadata, version.metadata):
        each.create_all(engine, checkfirst=False)
    row = f"({PROGRESS_ID}, 0, 0)"
    statements.append(f"INSERT INTO {progress.name} VALUES {row}")  # noqa: S608 - constants.
    statements.append(f"INSERT INTO {version.name} VALUES ('{NEWEST}')")  # noqa: S608 - constants.
    return ";".join(statements)


def _unprivileged() -> str | None:
    """Return the user to run the server as; None for the current user."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
