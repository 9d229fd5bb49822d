"""A reader's machine: a folder that looks like a clone, a home of its own, and a shell in it.

* What is typed stays in effect: variables, the folder, jobs. A command that fails ends the shell,
  and with it the test: a document says so itself where it expects a failure.
* What appears is what a person sees: programs find a terminal there, without colours.
* `make run` and `quorate serve` on a line of their own are typed in a terminal of their own. They
  do what they always do, on ports that nobody else has; a later one begins when the one before was
  stopped with Ctrl-C. Where none was typed by then, ``serve`` starts one.
* Other targets of `make` are only looked up: the tests do not start themselves.
* Everything that was started is ended by ``leave``.
"""

import errno
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

from quorate.bench.postgres import PASSWORD, USER
from tests.e2e.service.service_process import READ_BYTES, READY, START_SECONDS_MAX, environment
from tests.support.paths import ROOT
from tests.support.postgres import ROLE, with_role

BLOCK_SECONDS_MAX = 60.0
COLUMNS, LINES = 120, 50
STOP_SECONDS_MAX = 10.0
URL_PRINTED = "http://127.0.0.1:8420"
NATS_URL_PRINTED = "nats://127.0.0.1:4222"
DATABASE_PRINTED = "postgresql+asyncpg://{role}@host/quorate"
STARTS = re.compile(r"(make run|quorate serve)\b[^&]*")
DATA_DIR = Path(".local") / "share" / "quorate"
_HTTP = re.compile(rb"HTTP +(http://\S+)")
_NATS = re.compile(rb"NATS +(nats://\S+)")
_DONE = b"\x1d"  # Nothing that is typed here prints it.

_MAKE = """\
#!/bin/sh
# The Makefile itself, in a clone that is set up. Only `run` is really run.
case "$1" in run) ;; *) set -- --dry-run "$@" ;; esac
exec "{make}" --no-print-directory -C "{root}" VENV="{venv}" -o "{venv}/.ready" "$@"
"""
_QUORATE = """\
#!/bin/sh
exec "{python}" -m quorate.cli.main "$@"
"""
_PYTHON = """\
#!/bin/sh
exec "{python}" "$@"
"""


class Failed(AssertionError):
    """A block did not do what a reader would expect; the message is what the terminal showed."""


class Machine:
    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.clone = folder / "quorate"
        self.home.mkdir(parents=True)
        self._furnish()
        self._shell: subprocess.Popen[bytes] | None = None
        self._screen = -1  # Where what the shell shows can be read.
        self._server: subprocess.Popen[bytes] | None = None
        self._addresses: dict[str, str] = {}
        self._databases: dict[str, str] = {}
        self._blocks = 0

    def _furnish(self) -> None:
        binaries = self.clone / ".venv" / "bin"
        binaries.mkdir(parents=True)
        (self.clone / ".venv" / ".ready").touch()
        (self.clone / "examples").symlink_to(ROOT / "examples")
        _program(binaries / "quorate", _QUORATE.format(python=sys.executable))
        for name in ("python", "python3"):
            _program(binaries / name, _PYTHON.format(python=sys.executable))
        nats_server = Path(sys.executable).with_name("nats-server")
        if nats_server.exists():
            (binaries / "nats-server").symlink_to(nats_server)
        (self.home / "bin").mkdir()
        # A Python without Quorate: what stands on PATH may start dozens of processes first.
        plain = Path(sys.base_prefix) / "bin" / "python3"
        _program(self.home / "bin" / "python3", _PYTHON.format(python=plain))
        venv = self.clone / ".venv"
        make = _found("make")
        _program(self.home / "bin" / "make", _MAKE.format(make=make, root=ROOT, venv=venv))

    def _variables(self, *, venv: bool = False) -> dict[str, str]:
        ours = str(Path(sys.executable).parent)
        folders = [str(self.clone / ".venv" / "bin")] if venv else []
        folders.append(str(self.home / "bin"))
        folders += [each for each in os.environ["PATH"].split(":") if each != ours]
        clean = environment(
            HOME=str(self.home),
            PATH=":".join(folders),
            QUORATE_PORT="0",
            QUORATE_NATS_PORT="0",
            QUORATE_DEMO_SECONDS="5",
            TERM="dumb",
            COLUMNS=str(COLUMNS),
            LINES=str(LINES),
            LC_ALL="C.UTF-8",
        )
        return {name: value for name, value in clean.items() if not name.startswith("XDG_")}

    # -- The service -----------------------------------------------------------

    def serve(self, command: str = "quorate serve") -> None:
        """Start the service as a reader would, in another terminal, and wait until it is ready."""
        self._end_service()
        with (self.home / "serve.log").open("ab") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", self._as_here(command)],
                cwd=self.clone,
                env=self._variables(venv=True),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._server.stdout is not None
        out = self._server.stdout.fileno()
        try:
            said = _read_until(out, READY, START_SECONDS_MAX)
        except Failed as failure:
            raise Failed(f"{command}\n--- said:\n{failure}\n{self._service_said()}") from None
        while (found := _NATS.search(said)) is None:
            said += _read_until(out, b"\n", START_SECONDS_MAX)
        url = _HTTP.search(said)
        assert url is not None
        self._addresses = {URL_PRINTED: url[1].decode(), NATS_URL_PRINTED: found[1].decode()}

    def serves(self) -> bool:
        return self._server is not None

    def _end_service(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(STOP_SECONDS_MAX)
        finally:
            _end(server)

    # -- The shell -------------------------------------------------------------

    def type(self, script: str) -> str:
        """What the terminal shows of a block; raises Failed when a command of it fails."""
        script = self._as_here(script)
        self._blocks += 1
        block = self.home / f"block-{self._blocks}.sh"
        block.write_text(script)
        shell = self._shell = self._shell or self._opened()
        assert shell.stdin is not None
        shell.stdin.write(f". {block} </dev/null; printf '\\035'\n".encode())
        shell.stdin.flush()
        try:
            shown = _read_until(self._screen, _DONE, BLOCK_SECONDS_MAX)
        except Failed as failure:
            raise Failed(f"{script}\n--- showed:\n{failure}\n{self._service_said()}") from None
        return shown.replace(_DONE, b"").decode()

    def run(self, name: str, program: str) -> str:
        """What a Python program prints."""
        self.save(name, program)
        return self.type(f"python3 {name}\n")

    def save(self, name: str, program: str) -> None:
        (self.clone / name).write_text(self._as_here(program))

    def _as_here(self, text: str) -> str:
        """With this machine's addresses in place of those that are printed."""
        if "@host/quorate" in text and not self._databases:
            self._databases = _databases()
        for printed, address in {**self._addresses, **self._databases}.items():
            text = text.replace(printed, address)
        return text

    def _opened(self) -> "subprocess.Popen[bytes]":
        self._screen, inside = os.openpty()
        termios.tcsetwinsize(inside, (LINES, COLUMNS))
        settings = termios.tcgetattr(inside)
        settings[1] &= ~termios.OPOST  # A line ends with a line feed and nothing else.
        termios.tcsetattr(inside, termios.TCSANOW, settings)
        try:
            shell = subprocess.Popen(
                ["bash", "--norc", "--noprofile"],
                cwd=self.clone,
                env=self._variables(),
                stdin=subprocess.PIPE,
                stdout=inside,
                stderr=inside,
                start_new_session=True,
            )
        finally:
            os.close(inside)
        assert shell.stdin is not None
        shell.stdin.write(b"set -e\n")
        return shell

    def _service_said(self) -> str:
        log = self.home / "serve.log"
        return log.read_text(errors="replace")[-2_000:] if log.exists() else ""

    def leave(self) -> None:
        if self._shell is not None:
            _end(self._shell)
            os.close(self._screen)
        self._end_service()


def _databases() -> dict[str, str]:
    """A place of its own on a PostgreSQL, for its owner and for a role that may log in there."""
    owners = with_role().empty_url()
    return {
        DATABASE_PRINTED.format(role="owner"): owners,
        DATABASE_PRINTED.format(role=ROLE): owners.replace(f"{USER}:{PASSWORD}@", f"{ROLE}@"),
    }


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _found(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"{name} is needed to read along"
    return path


def _read_until(descriptor: int, mark: bytes, seconds: float) -> bytes:
    said = b""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while mark not in said:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise Failed(f"{said.decode(errors='replace')}\n--- and went on for {seconds} s")
            if not (chunk := _chunk(descriptor)):
                raise Failed(said.decode(errors="replace"))
            said += chunk
    return said


def _chunk(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError as error:
        if error.errno == errno.EIO:  # Nobody writes to this terminal any more.
            return b""
        raise


def _end(process: "subprocess.Popen[bytes]") -> None:
    """It, and whatever it left in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
