"""A program that runs only as long as we allow it to.

* It lives in a session of its own, so that one signal reaches it and all that it started, and the
  terminal's Ctrl-C reaches it once: from us.
* ``stop`` asks it to end, and ends what is still there when the patience is over.
* It ends when we are killed (on Linux): nobody else would stop it.
* Its exit code is told as a shell tells it: 128 and the signal's number where one ended it.
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


class NoSuchProgram(Exception):
    """Nothing of this name can be run here."""


def found(name: str) -> str:
    """The path of a program; raises NoSuchProgram."""
    path = shutil.which(name)
    if path is None:
        raise NoSuchProgram(f"There is no program {name!r} that can be run")
    return path


class Program:
    """One run of it."""

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
        """``command`` begins with its path; input and output are ours unless others are given."""
        leash = (sys.executable, "-I", "-S", str(Path(exec_program.__file__)), str(os.getpid()))
        process = await asyncio.create_subprocess_exec(
            *leash,
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
        """Its own, and its group's."""
        return self._process.pid

    async def line(self) -> str:
        """The next line of its output, if that is a pipe; empty when there will be none."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode("utf-8", errors="replace")

    async def ended(self) -> int:
        """Its exit code, when it has one."""
        code = await self._process.wait()
        return code if code >= 0 else SIGNALLED - code

    def send(self, number: signal.Signals) -> None:
        """To it and to all that it started."""
        with suppress(ProcessLookupError):  # All of them have ended.
            os.killpg(self.pid, number)

    async def stop(self, within_seconds: float) -> None:
        """Ask it to end; whatever of it is left after ``within_seconds`` is killed."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)  # One that sleeps cannot hear.
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._process.wait()
        self.send(signal.SIGKILL)
        await self._process.wait()
