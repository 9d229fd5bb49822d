"""Sandbox of a reader: a directory that looks like a clone, a home directory, and a shell.

* The shell keeps its state between blocks: variables, working directory, jobs. A failing command
  ends the shell and fails the test; a document states explicitly where it expects a failure.
* Programs run at a terminal without colours, so their output is the output that a person sees.
* A block that contains only `make run` or `quorate serve` runs in a second terminal, with free
  ports. A later start waits until the earlier service has stopped (Ctrl-C). Without such a block,
  ``start_service`` starts the service, without a shell and without its imports.
* For other targets of `make`, the sandbox only checks that they exist (a dry run): the tests do
  not start themselves.
* ``close`` ends every process that the sandbox started.
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
from typing import IO

from quorate.bench.postgres import PASSWORD, USER
from tests.e2e.service.service_process import READ_BYTES, READY_LINE, START_SECONDS_MAX, environment
from tests.support import forked_process
from tests.support.forked_process import ForkedProcess
from tests.support.paths import ROOT
from tests.support.postgres import ROLE, shared_with_role

BLOCK_SECONDS_MAX = 60.0
COLUMNS, LINES = 120, 50
STOP_SECONDS_MAX = 10.0
DOCUMENTED_URL = "http://127.0.0.1:8420"
DOCUMENTED_NATS_URL = "nats://127.0.0.1:4222"
DOCUMENTED_DATABASE_URL = "postgresql+asyncpg://{role}@host/quorate"
START_COMMAND = re.compile(r"(make run|quorate serve)\b[^&]*")
DATA_DIR = Path(".local") / "share" / "quorate"
_HTTP = re.compile(rb"HTTP +(http://\S+)")
_NATS = re.compile(rb"NATS +(nats://\S+)")
_END_OF_BLOCK = b"\x1d"  # No snippet prints this byte.

_MAKE = """\
#!/bin/sh
# The Makefile of the repository. Only `run` is executed; other targets are a dry run.
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


class SnippetFailed(AssertionError):
    """The output of a block differs from the document; the message contains the output."""


class Sandbox:
    """One reader. ``clone`` is the working directory of the shell."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.clone = folder / "quorate"
        self.home.mkdir(parents=True)
        self._create_files()
        self._shell: subprocess.Popen[bytes] | None = None
        self._terminal = -1  # Descriptor from which the output of the shell is read.
        self._server: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._addresses: dict[str, str] = {}
        self._databases: dict[str, str] = {}
        self._blocks = 0

    def _create_files(self) -> None:
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
        # A Python without Quorate: the python3 on PATH may be a wrapper that starts many processes.
        plain = Path(sys.base_prefix) / "bin" / "python3"
        _program(self.home / "bin" / "python3", _PYTHON.format(python=plain))
        venv = self.clone / ".venv"
        make = _executable("make")
        _program(self.home / "bin" / "make", _MAKE.format(make=make, root=ROOT, venv=venv))

    def _environment(self, *, venv: bool = False) -> dict[str, str]:
        venv_bin = str(Path(sys.executable).parent)
        directories = [str(self.clone / ".venv" / "bin")] if venv else []
        directories.append(str(self.home / "bin"))
        directories += [each for each in os.environ["PATH"].split(":") if each != venv_bin]
        variables = environment(
            HOME=str(self.home),
            PATH=":".join(directories),
            QUORATE_PORT="0",
            QUORATE_NATS_PORT="0",
            QUORATE_DEMO_SECONDS="5",
            TERM="dumb",
            COLUMNS=str(COLUMNS),
            LINES=str(LINES),
            LC_ALL="C.UTF-8",
        )
        return {name: value for name, value in variables.items() if not name.startswith("XDG_")}

    # -- The service -----------------------------------------------------------

    def start_service(self, command: str | None = None) -> None:
        """Start the service in a second terminal, and wait until it is ready."""
        self._stop_service()
        with (self.home / "serve.log").open("ab") as log:
            self._server = self._start_server(command, log)
        assert self._server.stdout is not None
        out = self._server.stdout.fileno()
        try:
            output = _read_until(out, READY_LINE, START_SECONDS_MAX)
        except SnippetFailed as failure:
            raise SnippetFailed(
                f"{command}\n--- output:\n{failure}\n{self._service_log()}"
            ) from None
        while (nats_url := _NATS.search(output)) is None:
            output += _read_until(out, b"\n", START_SECONDS_MAX)
        url = _HTTP.search(output)
        assert url is not None
        self._addresses = {
            DOCUMENTED_URL: url[1].decode(),
            DOCUMENTED_NATS_URL: nats_url[1].decode(),
        }

    def _start_server(
        self, command: str | None, log: IO[bytes]
    ) -> "subprocess.Popen[bytes] | ForkedProcess":
        variables = self._environment(venv=True)
        if command is None and forked_process.IS_SUPPORTED:
            return ForkedProcess(["serve"], variables, log.fileno(), self.clone)
        return subprocess.Popen(
            ["bash", "-c", self._replace_addresses(command or "quorate serve")],
            cwd=self.clone,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )

    def has_service(self) -> bool:
        return self._server is not None

    def _stop_service(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(STOP_SECONDS_MAX)
        finally:
            _kill(server)

    # -- The shell -------------------------------------------------------------

    def run_shell(self, script: str) -> str:
        """Execute a block and return its output; raise SnippetFailed if a command fails."""
        script = self._replace_addresses(script)
        self._blocks += 1
        block = self.home / f"block-{self._blocks}.sh"
        block.write_text(script)
        shell = self._shell = self._shell or self._start_shell()
        assert shell.stdin is not None
        shell.stdin.write(f". {block} </dev/null; printf '\\035'\n".encode())
        shell.stdin.flush()
        try:
            output = _read_until(self._terminal, _END_OF_BLOCK, BLOCK_SECONDS_MAX)
        except SnippetFailed as failure:
            raise SnippetFailed(
                f"{script}\n--- output:\n{failure}\n{self._service_log()}"
            ) from None
        return output.replace(_END_OF_BLOCK, b"").decode()

    def run_python(self, name: str, program: str) -> str:
        """Save a Python program, execute it and return its output."""
        self.save(name, program)
        return self.run_shell(f"python3 {name}\n")

    def save(self, name: str, program: str) -> None:
        (self.clone / name).write_text(self._replace_addresses(program))

    def _replace_addresses(self, text: str) -> str:
        """Replace the documented addresses with the addresses of this sandbox."""
        if "@host/quorate" in text and not self._databases:
            self._databases = _databases()
        for documented, address in {**self._addresses, **self._databases}.items():
            text = text.replace(documented, address)
        return text

    def _start_shell(self) -> "subprocess.Popen[bytes]":
        self._terminal, inside = os.openpty()
        termios.tcsetwinsize(inside, (LINES, COLUMNS))
        settings = termios.tcgetattr(inside)
        settings[1] &= ~termios.OPOST  # Lines end with a line feed only.
        termios.tcsetattr(inside, termios.TCSANOW, settings)
        try:
            shell = subprocess.Popen(
                ["bash", "--norc", "--noprofile"],
                cwd=self.clone,
                env=self._environment(),
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

    def _service_log(self) -> str:
        log = self.home / "serve.log"
        return log.read_text(errors="replace")[-2_000:] if log.exists() else ""

    def close(self) -> None:
        if self._shell is not None:
            _kill(self._shell)
            os.close(self._terminal)
        self._stop_service()


def _databases() -> dict[str, str]:
    """Create an empty PostgreSQL database; return its URLs for the owner and for a second role."""
    owner_url = shared_with_role().empty_url()
    return {
        DOCUMENTED_DATABASE_URL.format(role="owner"): owner_url,
        DOCUMENTED_DATABASE_URL.format(role=ROLE): owner_url.replace(
            f"{USER}:{PASSWORD}@", f"{ROLE}@"
        ),
    }


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _executable(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed"
    return path


def _read_until(descriptor: int, mark: bytes, seconds: float) -> bytes:
    output = b""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while mark not in output:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise SnippetFailed(
                    f"{output.decode(errors='replace')}\n--- no end within {seconds} s"
                )
            if not (chunk := _chunk(descriptor)):
                raise SnippetFailed(output.decode(errors="replace"))
            output += chunk
    return output


def _chunk(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError as error:
        if error.errno == errno.EIO:  # The last process at this terminal has ended.
            return b""
        raise


def _kill(process: "subprocess.Popen[bytes] | ForkedProcess") -> None:
    """Kill a process and all other processes of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
