"""A program in its own session, and all its descendants.

* ``send`` signals its process group, as a terminal does. The Ctrl-C of the terminal does not reach
  it directly; this program forwards it.
* ``stop`` sends SIGTERM to all descendants, and SIGKILL after a timeout. ``suspend`` and
  ``resume`` reach all descendants too. Off Linux, they reach the process group only.
* When it ends, its descendants are ended too, and so are all of them when this program dies, even
  by SIGKILL: see ``guardian.py``.
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

from quorate.cli.lease_runner import guardian
from quorate.cli.lease_runner.guardian import KILL_INTERVAL_SECONDS, SIGNALLED

Stream: TypeAlias = int | IO[Any] | None

NOT_FOUND = 127
LINGER_SECONDS_DEFAULT = 5.0


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
        linger_seconds: float = LINGER_SECONDS_DEFAULT,
    ) -> Self:
        """Start ``command``, a path and arguments; streams are inherited by default.

        Descendants that are left when it ends have ``linger_seconds`` from SIGTERM to SIGKILL.
        """
        script = str(Path(guardian.__file__))
        launcher = (sys.executable, "-I", "-S", script, str(os.getpid()), str(linger_seconds))
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
        """The id of its process group."""
        return self._process.pid

    async def read_line(self) -> str:
        """Read a line of its output, which must be a pipe; empty at the end."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode("utf-8", errors="replace")

    async def feed(self, data: bytes) -> None:
        """Write to its input, which must be a pipe, and close it; it may end without reading."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        self._process.stdin.close()

    async def read(self, bytes_max: int) -> bytes:
        """Read what is there of its output, which must be a pipe; empty at the end."""
        assert self._process.stdout is not None
        return await self._process.stdout.read(bytes_max)

    async def wait(self) -> int:
        """Wait until it and its descendants have ended; return its exit code."""
        code = await self._process.wait()
        return code if code >= 0 else SIGNALLED - code

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process group."""
        with suppress(ProcessLookupError):  # All processes have ended.
            os.killpg(self.pid, number)

    def suspend(self) -> None:
        """Stop all descendants until ``resume``."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    async def stop(self, timeout_seconds: float) -> None:
        """Send SIGTERM; kill the remaining processes after ``timeout_seconds``."""
        # A stopped process cannot handle SIGTERM.
        self._signal_all(signal.SIGTERM, signal.SIGCONT)
        ended = asyncio.ensure_future(self._process.wait())
        await asyncio.wait({ended}, timeout=timeout_seconds)
        while not ended.done():
            self._signal_all(signal.SIGKILL)
            await asyncio.wait({ended}, timeout=KILL_INTERVAL_SECONDS)

    def _signal_all(self, *numbers: signal.Signals) -> None:
        if guardian.IS_SUPPORTED:
            guardian.signal_descendants(self.pid, *numbers)
            return
        for number in numbers:
            self.send(number)
