"""Several `quorate serve` that are one service: one PostgreSQL, one nats-server, the same secrets.

* What they share is made as an operator makes it: `quorate secrets`, `quorate db upgrade`.
* Each has a folder and ports of its own. Its keys are known from the secrets, its address from
  what it said when it was ready.
* One that is paused is frozen as a whole, as by a machine that hangs: its connections stay open.
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

import orjson
from click.testing import CliRunner

from quorate.bus.embedded.configuration import read_keys, server_configuration
from quorate.cli.main import quorate
from tests.e2e.service.service_process import (
    LOOK_SECONDS,
    SOURCES,
    START_SECONDS_MAX,
    Running,
    environment,
)

LOOPBACK = "127.0.0.1"
SERVES = "quorate.cli.main"
VERB_SECONDS_MAX = 60.0
_HTTP = re.compile(rb"HTTP +(\S+)")


class NatsServer:
    """A nats-server that knows the keys of the service, and is no child of it."""

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
        while not self._listens():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(LOOK_SECONDS)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, self._port)):
            return True
        return False


class Shared:
    """What all replicas are told."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.secrets = folder / "secrets"
        made = CliRunner().invoke(quorate, ["secrets", str(self.secrets)])
        assert made.exit_code == 0, made.output
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


class Replica(Running):
    """One of them. ``program`` is a module that is run in the place of the real service."""

    def __init__(
        self, data_dir: Path, shared: Shared, *options: str, program: str = SERVES
    ) -> None:
        tests_too = os.pathsep.join((str(SOURCES), str(SOURCES.parent)))
        super().__init__(data_dir, *shared.options, *options, variables={"PYTHONPATH": tests_too})
        self._shared = shared
        self._program = program
        self._began = 0  # Where in its standard error this life of it begins.

    def _command(self) -> list[str]:
        return [self._program if part == SERVES else part for part in super()._command()]

    def start(self) -> "Replica":
        self._began = self.stderr.stat().st_size if self.stderr.exists() else 0
        super().start()
        return self

    def end(self) -> None:
        if self.runs():
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

    def leads(self) -> bool:
        """Whether it says that it relays and settles what fell due for all of them."""
        said = self.stderr.read_bytes()[self._began :].splitlines()
        events = [orjson.loads(line)["event"] for line in said if b'"leadership.' in line]
        return events.count("leadership.won") > events.count("leadership.ended")


class Replicas:
    """``count`` of them, called ``a``, ``b``, ``c`` and so on, and what they share."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        count: int,
        *options: str,
        program: str = SERVES,
    ) -> None:
        self.shared = Shared(folder, database_url)
        self.all = [
            Replica(folder / chr(ord("a") + number), self.shared, *options, program=program)
            for number in range(count)
        ]

    def start(self, *, one_by_one: bool = False) -> None:
        """All at the same moment, unless that is asking too much."""
        self.shared.nats.start()
        if one_by_one:
            for replica in self.all:
                replica.start()
        else:
            at_once(*(replica.start for replica in self.all))

    def end(self) -> None:
        try:
            at_once(*(replica.end for replica in self.all))
        finally:
            for replica in self.all:
                replica.kill()
            self.shared.nats.end()

    def leader(self) -> Replica | None:
        return next((replica for replica in self.all if replica.runs() and replica.leads()), None)


def at_once(*calls: Callable[[], object]) -> None:
    with ThreadPoolExecutor(len(calls)) as pool:
        for call in [pool.submit(call) for call in calls]:
            call.result()


def upgrade(database_url: str) -> None:
    """As an operator does before the first start, and before that of a newer version."""
    verb = (sys.executable, "-m", SERVES, "db", "upgrade", "--database-url", database_url)
    done = subprocess.run(
        verb,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=VERB_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
