"""Several `quorate serve` replicas with one PostgreSQL, one nats-server and the same secrets.

* The shared configuration is created with `quorate secrets` and `quorate db upgrade`.
* Each replica has its own directory and ports. Its keys come from the secrets, its address from its
  output.
* A paused replica is frozen like a hanging machine: its connections stay open.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

import orjson
from click.testing import CliRunner

from quorate.bus.embedded.configuration import read_keys, server_configuration
from quorate.cli.main import quorate
from tests.e2e.service.service_process import (
    POLL_SECONDS,
    SOURCES,
    START_SECONDS_MAX,
    ServiceProcess,
    environment,
)
from tests.support import forked_process
from tests.support.forked_process import ForkedProcess

LOOPBACK = "127.0.0.1"
SERVE_MODULE = "quorate.cli.main"
COMMAND_SECONDS_MAX = 60.0
_PYTHON_PATH = os.pathsep.join((str(SOURCES), str(SOURCES.parent)))
_HTTP = re.compile(rb"HTTP +(\S+)")


class NatsServer:
    """An external nats-server with the keys of the service."""

    def __init__(self, folder: Path, keys_file: Path) -> None:
        folder.mkdir()
        self._port = _free_port()
        self._file = folder / "nats.conf"
        listen = f"{LOOPBACK}:{self._port}"
        self._file.write_text(server_configuration(read_keys(keys_file), listen, str(folder)))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        assert program is not None
        log = self._file.with_suffix(".log")
        self._process = subprocess.Popen([program, "-c", str(self._file), "-l", str(log)])
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._accepts_connections():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(POLL_SECONDS)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _accepts_connections(self) -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, self._port)):
            return True
        return False


class SharedConfiguration:
    """The configuration that all replicas share."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.secrets = folder / "secrets"
        result = CliRunner().invoke(quorate, ["secrets", str(self.secrets)])
        assert result.exit_code == 0, result.output
        self.database_url = database_url
        self.nats = NatsServer(folder / "nats-server", self.secrets / "nats_keys.json")

    @property
    def options(self) -> Sequence[str]:
        return (
            *("--database-url", self.database_url),
            *("--nats-url", self.nats.url),
            *("--nats-keys-file", str(self.secrets / "nats_keys.json")),
            *("--admin-key-file", str(self.secrets / "admin_key")),
            *("--api-key-file", str(self.secrets / "api_key")),
        )

    def read(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()


class Replica(ServiceProcess):
    """One replica. ``program`` is a module that runs instead of the real service."""

    def __init__(
        self,
        data_dir: Path,
        shared: SharedConfiguration,
        *options: str,
        program: str = SERVE_MODULE,
    ) -> None:
        super().__init__(data_dir, *shared.options, *options)
        self._shared = shared
        self._program = program
        self._stderr_offset = 0  # Offset of the current run in the standard error file.

    def _spawn(self, stderr: IO[bytes]) -> "subprocess.Popen[bytes] | ForkedProcess":
        if self._program == SERVE_MODULE:
            return super()._spawn(stderr)
        words, variables = self._command(), environment(PYTHONPATH=_PYTHON_PATH)
        arguments = words[words.index(SERVE_MODULE) + 1 :]
        if forked_process.IS_SUPPORTED:
            return ForkedProcess(arguments, variables, stderr.fileno(), program=self._program)
        return subprocess.Popen(
            [sys.executable, "-m", self._program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env=variables,
        )

    def start(self) -> "Replica":
        self._stderr_offset = self.stderr.stat().st_size if self.stderr.exists() else 0
        super().start()
        return self

    def end(self) -> None:
        if self.is_running():
            self.resume()
        super().end()

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    @property
    def url(self) -> str:
        return str(_HTTP.findall(self.stdout)[-1].decode())

    @property
    def nats_url(self) -> str:
        return self._shared.nats.url

    @property
    def api_key(self) -> str:
        return self._shared.read("api_key")

    @property
    def admin_key(self) -> str:
        return self._shared.read("admin_key")

    def is_leader(self) -> bool:
        """Whether the log of this replica says that it is the leader."""
        lines = self.stderr.read_bytes()[self._stderr_offset :].splitlines()
        events = [orjson.loads(line)["event"] for line in lines if b'"leader.' in line]
        return events.count("leader.elected") > events.count("leader.resigned")


class Replicas:
    """``count`` replicas in directories ``a``, ``b``, ``c`` ..., and their shared configuration."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        count: int,
        *options: str,
        program: str = SERVE_MODULE,
    ) -> None:
        self.shared = SharedConfiguration(folder, database_url)
        self.all = [
            Replica(folder / chr(ord("a") + number), self.shared, *options, program=program)
            for number in range(count)
        ]

    def start(self, *, one_by_one: bool = False) -> None:
        """Start all replicas concurrently, or one after another."""
        self.shared.nats.start()
        if one_by_one:
            for replica in self.all:
                replica.start()
        else:
            run_concurrently(*(replica.start for replica in self.all))

    def end(self) -> None:
        try:
            run_concurrently(*(replica.end for replica in self.all))
        finally:
            for replica in self.all:
                replica.kill()
            self.shared.nats.end()

    def find_leader(self) -> Replica | None:
        return next(
            (replica for replica in self.all if replica.is_running() and replica.is_leader()), None
        )


def run_concurrently(*calls: Callable[[], object]) -> None:
    with ThreadPoolExecutor(len(calls)) as pool:
        for call in [pool.submit(call) for call in calls]:
            call.result()


def upgrade_schema(database_url: str) -> None:
    """Run `quorate db upgrade`, as before the first start and before that of a newer version."""
    command_line = (
        sys.executable,
        "-m",
        SERVE_MODULE,
        "db",
        "upgrade",
        "--database-url",
        database_url,
    )
    result = subprocess.run(
        command_line,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
