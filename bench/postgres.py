"""A real PostgreSQL for measuring and for tests: a cluster of its own on the loopback, gone after.

* It is the machine's own PostgreSQL; Debian keeps its programs out of PATH.
* It runs as durable as a real one: with fsync switched off the back end would refuse it.
* PostgreSQL refuses to run as root, so its programs then run as ``postgres`` or ``nobody``.
* Whoever asks gets a schema in one database: that costs nothing, and is an operator's option.
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

from quorate.eventlog.tables import metadata as log_metadata
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
    "timezone": "Europe/Paris",  # Not ours: nothing may depend on it.
}


class NotInstalled(Exception):
    """This machine has no PostgreSQL of its own."""


def programs() -> Path | None:
    """Where initdb and postgres are: the newest that this machine has."""
    if (named := shutil.which("initdb")) is not None:
        return Path(named).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


class PostgresServer:
    """One cluster in a folder of its own (or in ``folder``, which its user must be able to reach).

    ``start`` may be called again after it ended, however it did; ``remove`` leaves nothing behind.
    """

    def __init__(self, folder: Path | None = None, **configuration: str) -> None:
        found = programs()
        if found is None:
            raise NotInstalled(
                "PostgreSQL is not installed (on Debian: apt-get install postgresql)"
            )
        self._programs = found
        self._configuration = {**CONFIGURATION, **configuration}
        self._as = _unprivileged()
        self._home = folder or Path(tempfile.mkdtemp(prefix="quorate-postgres-"))
        self._home.chmod(0o755)  # pytest's own folders are closed to other users.
        self.folder = self._home / "data"
        self.log = self._home / "log"
        self.port = _free_port()
        self._made = self._home / "made"  # And not yet given a database.
        self._process: subprocess.Popen[bytes] | None = None

    # -- Its life ----------------------------------------------------------------

    def start(self) -> None:
        """Return when it takes connections."""
        if not (self.folder / "PG_VERSION").exists():
            self._make()
        options = {**self._configuration, "port": str(self.port), "listen_addresses": LOOPBACK}
        command = [str(self._programs / "postgres"), "-D", str(self.folder)]
        for name, value in {**options, "unix_socket_directories": ""}.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._as
            )
        self._wait_until_ready()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends it cleanly, SIGQUIT at once: what it had not written it must recover."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def runs(self) -> bool:
        """Whether it still does: without room for its log it ends itself."""
        return self._process is not None and self._process.poll() is None

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        self.stop(how)
        self.start()

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._home, ignore_errors=True)

    def pause(self) -> None:
        """Freeze the whole server: connections stay open, and nothing answers."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [self._process.pid, *map(int, children.read_text().split())]

    # -- Its databases -----------------------------------------------------------

    def url(self, *, schema: str | None = None) -> str:
        base = f"postgresql+asyncpg://{USER}:{PASSWORD}@{LOOPBACK}:{self.port}/{DATABASE}"
        return base if schema is None else f"{base}?schema={schema}"

    def database_url(self, schema: str | None = None) -> str:
        """A place of its own: a schema that nobody else uses, as `quorate db upgrade` leaves it."""
        name = schema or f"t_{uuid4().hex[:16]}"
        self.run_sql(place(name))
        return self.url(schema=name)

    def empty_url(self) -> str:
        """The same without any tables."""
        return self.url(schema=f"t_{uuid4().hex[:16]}")

    def run_sql(self, statements: str, *, schema: str | None = None) -> str:
        """Run SQL as the owner of everything; what it printed, a row a line."""
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

    # -- Its making ----------------------------------------------------------------

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._as is not None:
            shutil.chown(self.folder, self._as)
        with tempfile.NamedTemporaryFile("w", suffix=".password") as password:
            password.write(PASSWORD)
            password.flush()
            if self._as is not None:
                shutil.chown(password.name, self._as)
            subprocess.run(
                [
                    str(self._programs / "initdb"),
                    *("-D", str(self.folder), "-U", USER, f"--pwfile={password.name}"),
                    *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
                ],
                check=True,
                capture_output=True,
                cwd="/",
                user=self._as,
            )
        self._made.touch()

    def _wait_until_ready(self) -> None:
        ready = [str(self._programs / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        deadline = time.monotonic() + START_SECONDS_MAX
        assert self._process is not None
        while subprocess.run(ready, check=False).returncode:
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < deadline, self._said()
            time.sleep(0.02)
        if self._made.exists():
            self._create_database()
            self._made.unlink()

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

    def _said(self) -> str:
        return self.log.read_text(errors="replace")


def place(schema: str) -> str:
    """SQL that makes a schema with the tables of today."""
    return f'CREATE SCHEMA "{schema}"; SET search_path = "{schema}"; {_tables()};'


@cache
def _tables() -> str:
    """SQL that makes the tables of today; many times faster than to have them made."""
    statements: list[str] = []

    def note(statement: ExecutableDDLElement, *_: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("postgresql+asyncpg://", note)
    for each in (log_metadata, metadata, version.metadata):
        each.create_all(engine, checkfirst=False)
    statements.append(f"INSERT INTO {version.name} VALUES ('{NEWEST}')")  # noqa: S608 - our own.
    return ";".join(statements)


def _unprivileged() -> str | None:
    """Whom to run as; None: as we are."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
