"""Run an example as a process, with only the environment that it documents."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.service.http_clients import IssuedKey
from tests.e2e.service.service_process import ServiceProcess, environment
from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"
OUTPUT_SECONDS_MAX = 90.0


class Program:
    """A running example. ``lines`` contains its output so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    async def wait_for_line(self, text: str) -> str:
        """Return the next line that contains the text; fail when the program ends before."""
        assert self._process.stdout is not None
        async with asyncio.timeout(OUTPUT_SECONDS_MAX):
            while line := (await self._process.stdout.readline()).decode():
                self.lines.append(line.rstrip("\n"))
                if text in line:
                    return self.lines[-1]
        raise AssertionError(f"ended without {text!r}: {self.lines}")

    async def wait(self) -> int:
        """Read the rest of the output, and return the exit code."""
        assert self._process.stdout is not None
        async with asyncio.timeout(OUTPUT_SECONDS_MAX):
            rest = (await self._process.stdout.read()).decode()
            self.lines += rest.splitlines()
            return await self._process.wait()

    async def interrupt(self) -> int:
        """Send SIGINT (Ctrl-C), and return the exit code."""
        self._process.send_signal(signal.SIGINT)
        return await self.wait()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def run_example(
    name: str, service: ServiceProcess, key: IssuedKey, *arguments: str, over_nats: bool = False
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
