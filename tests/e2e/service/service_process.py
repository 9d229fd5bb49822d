"""A real `quorate serve`, started as an operator would, on free ports of the loopback.

* It is ready when it says so on its standard output; nobody sleeps and hopes.
* It lives in a session of its own, and its standard error goes to a file beside its data.
* It has ended well when SIGTERM ended it within STOP_SECONDS_MAX, with code 0, and no nats-server
  of its folder was left behind. ``stop`` asserts all three.
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

from tests.support.paths import ROOT

Json: TypeAlias = dict[str, Any]

SOURCES = ROOT / "src"
READY = b"Quorate is running."
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 5.0
LOOK_SECONDS = 0.01
READ_BYTES = 65_536
ANY_PORTS = ("--port", "0", "--nats-port", "0")
OURS = "QUORATE_"  # What an operator's shell may have set is none of the tests' business.


class DidNotStart(Exception):
    """The process ended, or was not ready in time; the message is what it said."""


def command(data_dir: Path, *options: str) -> list[str]:
    serve = (sys.executable, "-m", "quorate.cli.main", "serve")
    return [*serve, "--data-dir", str(data_dir), *options]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "PYTHONPATH": str(SOURCES), **more}


class Running:
    """One `quorate serve` on one data folder. ``start`` may be called again after it ended."""

    def __init__(
        self, data_dir: Path, *options: str, variables: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.options = options
        self.variables = variables or {}
        self.stdout = b""
        self.stderr = data_dir.with_name(data_dir.name + ".stderr")
        self._process: subprocess.Popen[bytes] | None = None

    # -- From its beginning to its end ---------------------------------------

    def start(self) -> "Running":
        """Return when requests can be made; raises DidNotStart."""
        assert self._process is None
        with self.stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                env=environment(**self.variables),
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, demand: signal.Signals = signal.SIGTERM) -> float:
        """Ask it to end, and insist that it ends well; returns how many seconds it took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(demand)
        try:
            code = self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        took = time.monotonic() - began
        left = self.nats_servers()
        self._collect()
        assert code == 0, self.said()
        assert left == [], "a nats-server was left behind"
        return took

    def kill(self) -> None:
        """End it and its nats-server without a word, as a crash or the kernel would."""
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
            time.sleep(LOOK_SECONDS)
        self._collect()

    def restart(self) -> None:
        self.stop()
        self.start()

    def end(self) -> None:
        """For whoever cleans up: stop it if it still runs."""
        if self.runs():
            self.stop()
        elif self._process is not None:
            self.kill()

    def _command(self) -> list[str]:
        return command(self.data_dir, *ANY_PORTS, *self.options)

    def _wait_until_ready(self) -> None:
        out = self._out()
        said = b""
        deadline = time.monotonic() + START_SECONDS_MAX
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            while READY not in said:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise DidNotStart(f"not ready within {START_SECONDS_MAX} s: {self.said()}")
                chunk = os.read(out.fileno(), READ_BYTES)
                if not chunk:
                    raise DidNotStart(self.said())
                said += chunk
        self.stdout += said

    def _collect(self) -> None:
        """Keep what it said last, and let go of it."""
        out = self._out()
        self.stdout += out.read()
        out.close()
        self._process = None

    def _out(self) -> IO[bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    # -- What is known of it -------------------------------------------------

    def runs(self) -> bool:
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
        """The nats-servers that run with this folder's configuration (Linux only)."""
        configuration = str(self.data_dir.resolve() / "nats" / "nats-server.conf").encode()
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # It ended while we looked.
            if configuration in arguments:
                found.append(int(each.name))
        return found

    def said(self) -> str:
        """All of its standard error."""
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def logged(self, event: str | None = None) -> list[Json]:
        """What it logged, each line parsed; only those about ``event``, if one is named."""
        lines: list[Json] = [json.loads(line) for line in self.said().splitlines()]
        return [line for line in lines if event is None or line["event"] == event]


@contextmanager
def serving(
    data_dir: Path, *options: str, variables: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """One that is stopped afterwards, if it still runs then."""
    running = Running(data_dir, *options, variables=variables).start()
    try:
        yield running
    finally:
        running.end()


def attempt(
    data_dir: Path, *options: str, seconds: float = START_SECONDS_MAX
) -> "subprocess.CompletedProcess[str]":
    """Start a service that is expected to give up by itself, and wait until it has."""
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


def files(folder: Path, *, without: Sequence[str] = ()) -> list[Path]:
    """Every file below a folder, except those with these names."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in without)
