"""A real `quorate serve` process on free ports of the loopback interface.

* It is ready when its standard output says so; the tests do not sleep.
* It has its own session, and its standard error goes to a file beside the data directory.
* It is forked from a process with the modules of the service, unless it is ``executed``: see
  ``tests.support.forked_process``.
* ``stop`` asserts that SIGTERM ends it within STOP_SECONDS_MAX, that its exit code is 0, and that
  no nats-server of its data directory is left.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

from tests.support import forked_process
from tests.support.forked_process import ForkedProcess
from tests.support.paths import ROOT

Json: TypeAlias = dict[str, Any]

SOURCES = ROOT / "src"
READY_LINE = b"Quorate is running."
START_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 5.0
POLL_SECONDS = 0.01
READ_BYTES = 65_536
FREE_PORTS = ("--port", "0", "--nats-port", "0")
SERVE = [sys.executable, "-m", "quorate.cli.main", "serve"]
WORKERS_OPTION = "--workers"
ENVIRONMENT_PREFIX = "QUORATE_"  # Variables of the operator's shell are removed.


class StartFailed(Exception):
    """The process ended or was not ready in time; the message is its standard error."""


def command(data_dir: Path, *options: str) -> list[str]:
    return [*SERVE, "--data-dir", str(data_dir), *options]


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
    }
    return {**kept, "PYTHONPATH": str(SOURCES), **more}


class ServiceProcess:
    """One `quorate serve` on one data directory. It can be started again after it ended.

    ``executed``: Python starts and imports everything, as always with workers and variables.
    """

    def __init__(
        self,
        data_dir: Path,
        *options: str,
        variables: Mapping[str, str] | None = None,
        executed: bool = False,
    ) -> None:
        self.data_dir = data_dir
        self.options = options
        self.variables = variables or {}
        self.stdout = b""
        self.stderr = data_dir.with_name(data_dir.name + ".stderr")
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._executed = executed

    # -- Lifecycle -----------------------------------------------------------

    def start(self) -> "ServiceProcess":
        """Start, and return when the service accepts requests; raises StartFailed."""
        assert self._process is None
        with self.stderr.open("ab") as stderr:
            self._process = self._spawn(stderr)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, signal_: signal.Signals = signal.SIGTERM) -> float:
        """Stop it gracefully, assert the result, and return the duration in seconds."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal_)
        try:
            code = self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        took = time.monotonic() - began
        left = self.nats_servers()
        self._collect()
        assert code == 0, self.read_stderr()
        assert left == [], "a nats-server was left behind"
        return took

    def kill(self) -> None:
        """Kill it and its nats-server with SIGKILL, like a crash."""
        if self._process is None:
            return
        servers = self.nats_servers()
        for pid in (self._process.pid, *servers):
            with suppress(ProcessLookupError):  # nats-server never outlives the service.
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while self.nats_servers():
            assert time.monotonic() < deadline, "a nats-server survived SIGKILL"
            time.sleep(POLL_SECONDS)
        self._collect()

    def restart(self) -> None:
        self.stop()
        self.start()

    def end(self) -> None:
        """Stop it if it is still running."""
        if self.is_running():
            self.stop()
        elif self._process is not None:
            self.kill()

    def _command(self) -> list[str]:
        return command(self.data_dir, *FREE_PORTS, *self.options)

    def _spawn(self, stderr: IO[bytes]) -> "subprocess.Popen[bytes] | ForkedProcess":
        words = self._command()
        can_fork = words[: len(SERVE)] == SERVE and WORKERS_OPTION not in words
        if can_fork and not self._executed and not self.variables and forked_process.IS_SUPPORTED:
            return ForkedProcess(words[len(SERVE) - 1 :], environment(), stderr.fileno())
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env=environment(**self.variables),
        )

    def _wait_until_ready(self) -> None:
        out = self._out()
        received = b""
        deadline = time.monotonic() + START_SECONDS_MAX
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            while READY_LINE not in received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise StartFailed(
                        f"not ready within {START_SECONDS_MAX} s: {self.read_stderr()}"
                    )
                chunk = os.read(out.fileno(), READ_BYTES)
                if not chunk:
                    raise StartFailed(self.read_stderr())
                received += chunk
        self.stdout += received

    def _collect(self) -> None:
        """Keep the remaining output and release the process."""
        out = self._out()
        self.stdout += out.read()
        out.close()
        self._process = None

    def _out(self) -> IO[bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    # -- State ---------------------------------------------------------------

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def credentials(self) -> Json:
        found: Json = json.loads((self.data_dir / "credentials.json").read_text())
        return found

    @property
    def url(self) -> str:
        return str(self.credentials["url"])

    @property
    def nats_url(self) -> str:
        return str(self.credentials["natsUrl"])

    @property
    def api_key(self) -> str:
        return str(self.credentials["apiKey"])

    @property
    def admin_key(self) -> str:
        return str(self.credentials["adminKey"])

    @property
    def database(self) -> Path:
        return self.data_dir / "quorate.db"

    def nats_servers(self) -> list[int]:
        """Return the pids of nats-servers with the configuration of this directory (Linux only)."""
        configuration = str(self.data_dir.resolve() / "nats" / "nats-server.conf").encode()
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # The process ended in the meantime.
            if configuration in arguments:
                found.append(int(each.name))
        return found

    def workers(self) -> list[int]:
        """Return the processes that the supervisor of --workers started (Linux only)."""
        found: list[int] = []
        for each in Path(f"/proc/{self.pid}/task").glob("*/children"):
            found += map(int, each.read_text("ascii").split())
        return sorted(pid for pid in found if _is_worker(pid))

    def read_stderr(self) -> str:
        """Return its complete standard error."""
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def log_entries(self, event: str | None = None) -> list[Json]:
        """Return the parsed log lines, optionally only those with one ``event``."""
        lines: list[Json] = [json.loads(line) for line in self.read_stderr().splitlines()]
        return [line for line in lines if event is None or line["event"] == event]


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False  # It has ended.


@contextmanager
def run_service(
    data_dir: Path, *options: str, variables: Mapping[str, str] | None = None
) -> Iterator[ServiceProcess]:
    """Run a service, and stop it afterwards if it is still running."""
    running = ServiceProcess(data_dir, *options, variables=variables).start()
    try:
        yield running
    finally:
        running.end()


def run_until_exit(
    data_dir: Path, *options: str, seconds: float = START_SECONDS_MAX
) -> "subprocess.CompletedProcess[str]":
    """Start a service that is expected to exit with an error, and wait for its exit."""
    return subprocess.run(
        command(data_dir, *options),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        start_new_session=True,
    )


def list_files(folder: Path, *, without: Sequence[str] = ()) -> list[Path]:
    """List every file below a directory, except those with these names."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in without)
