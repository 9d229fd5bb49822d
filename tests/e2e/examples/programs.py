"""An example as its reader runs it: a process with nothing but the environment it asks for."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.service.http_clients import IssuedKey
from tests.e2e.service.service_process import Running, environment
from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"
SAID_SECONDS_MAX = 30.0
ENDS_SECONDS_MAX = 15.0


class Program:
    """``said`` is what it printed so far, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[str] = []

    async def says(self, words: str) -> str:
        """The next line with these words in it; fails when the program ends without."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SAID_SECONDS_MAX):
            while line := (await self._process.stdout.readline()).decode():
                self.said.append(line.rstrip("\n"))
                if words in line:
                    return self.said[-1]
        raise AssertionError(f"ended without {words!r}: {self.said}")

    async def ends(self) -> int:
        """Its exit code, when all that it said was read."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SAID_SECONDS_MAX):
            rest = (await self._process.stdout.read()).decode()
            self.said += rest.splitlines()
            return await self._process.wait()

    async def interrupted(self) -> int:
        """Its exit code after Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        return await self.ends()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def started(
    name: str, service: Running, key: IssuedKey, *arguments: str, over_nats: bool = False
) -> AsyncIterator[Program]:
    variables = {"QUORATE_URL": service.url, "QUORATE_API_KEY": key.text}
    if over_nats:
        variables["QUORATE_NATS_URL"] = service.nats_url
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        env=environment(**variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
