"""Start, control, stop and end the worker processes of the fleet."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from tests.chaos.fleet import worker
from tests.chaos.fleet.member import Plan
from tests.e2e.service.service_process import SOURCES, environment

ROOT = SOURCES.parent
END_SECONDS_MAX = 60.0


class Worker:
    """One process of agents."""

    def __init__(self, process: asyncio.subprocess.Process, stderr: Path) -> None:
        self._process = process
        self._stderr = stderr

    @classmethod
    async def start(cls, directory: Path, plans: Sequence[Plan]) -> "Worker":
        stderr = directory / f"{plans[0].name}.stderr"
        with stderr.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", worker.__name__),
                stdin=asyncio.subprocess.PIPE,
                stderr=file,
                cwd=ROOT,
                env=environment(PYTHONPATH=f"{SOURCES}{os.pathsep}{ROOT}"),
            )
        started = cls(process, stderr)
        start = {"directory": str(directory), "plans": [asdict(plan) for plan in plans]}
        started.send(orjson.dumps(start).decode())
        return started

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def signal(self, which: signal.Signals) -> None:
        self._process.send_signal(which)

    def is_stopped(self) -> bool:
        """Return whether the kernel has stopped the process."""
        status = Path(f"/proc/{self._process.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    async def wait(self) -> None:
        """Wait until the process has ended with code 0."""
        async with asyncio.timeout(END_SECONDS_MAX):
            code = await self._process.wait()
        assert code == 0, self._stderr.read_text()

    async def end(self) -> None:
        """Kill the process if it still runs (clean-up)."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
