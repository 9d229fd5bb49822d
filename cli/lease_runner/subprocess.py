"""A child process in its own session.

* A signal reaches the process and all its children. The Ctrl-C of the terminal does not reach it
  directly; this program forwards it.
* ``stop`` sends SIGTERM, and SIGKILL after a timeout.
* On Linux the process is killed when this program dies.
* Its exit code follows the shell convention: 128 + n if signal n ended it.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

from quorate.cli.lease_runner import exec_program

Stream: TypeAlias = int | IO[Any] | None

SIGNALLED = 128
NOT_FOUND = 127


class ProgramNotFoundError(Exception):
    """There is no executable program of this name."""


def find_program(name: str) -> str:
    """Return the path of a program; raises ProgramNotFoundError."""
    path = shutil.which(name)
    if path is None:
        raise ProgramNotFoundError(f"Program {name!r} not found, or not executable")
    return path


class Program:
    """A running program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> Self:
        """Start ``command``, a path and arguments; streams are inherited by default."""
        launcher = (sys.executable, "-I", "-S", str(Path(exec_program.__file__)), str(os.getpid()))
        process = await asyncio.create_subprocess_exec(
            *launcher,
            *command,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._process.pid

    async def read_line(self) -> str:
        """Read a line of its output, which must be a pipe; empty at the end."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode("utf-8", errors="replace")

    async def wait(self) -> int:
        """Wait until it ends and return its exit code."""
        code = await self._process.wait()
        return code if code >= 0 else SIGNALLED - code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and all its children."""
        with suppress(ProcessLookupError):  # All processes have ended.
            os.killpg(self.pid, number)

    async def stop(self, timeout_seconds: float) -> None:
        """Send SIGTERM; kill the remaining processes after ``timeout_seconds``."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)  # A stopped process cannot handle SIGTERM.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._process.wait()
        self.send(signal.SIGKILL)
        await self._process.wait()
