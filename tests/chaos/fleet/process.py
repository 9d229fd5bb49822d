"""The fleet's processes as seen from outside: told what to do, stopped, and seen off."""

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
GONE_SECONDS_MAX = 60.0


class Worker:
    """One process of agents."""

    def __init__(self, process: asyncio.subprocess.Process, stderr: Path) -> None:
        self._process = process
        self._stderr = stderr

    @classmethod
    async def start(cls, folder: Path, plans: Sequence[Plan]) -> "Worker":
        stderr = folder / f"{plans[0].name}.stderr"
        with stderr.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", worker.__name__),
                stdin=asyncio.subprocess.PIPE,
                stderr=file,
                cwd=ROOT,
                env=environment(PYTHONPATH=f"{SOURCES}{os.pathsep}{ROOT}"),
            )
        made = cls(process, stderr)
        told = {"folder": str(folder), "plans": [asdict(plan) for plan in plans]}
        made.tell(orjson.dumps(told).decode())
        return made

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def signal(self, which: signal.Signals) -> None:
        self._process.send_signal(which)

    def is_stopped(self) -> bool:
        """As the kernel sees it: the signal was delivered, and nothing runs any more."""
        status = Path(f"/proc/{self._process.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    async def gone(self) -> None:
        """Return when it has ended well, as it was told."""
        async with asyncio.timeout(GONE_SECONDS_MAX):
            code = await self._process.wait()
        assert code == 0, self._stderr.read_text()

    async def end(self) -> None:
        """For whoever cleans up."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
