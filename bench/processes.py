"""Start and stop the measured processes."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.domain.shared.records import record

# The rate limiter runs, but its buckets never run out.
HIGH_LIMITS = [
    *(f"--{what}-per-{owner}={10**6}" for what in ("rate", "burst") for owner in ("key", "tenant")),
    *(f"--quota-live-leases{scope}={10**9}" for scope in ("", "-per-agent")),
]
READY_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 8.0


@record
class BenchService:
    """A running Quorate service."""

    url: str
    nats_url: str
    key: str
    admin_key: str
    pid: int


@asynccontextmanager
async def process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a child process; it is stopped at the end of the block."""
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(child.wait(), STOP_SECONDS_MAX)
            except TimeoutError:
                child.kill()
                await child.wait()


@asynccontextmanager
async def quorate(folder: Path, *options: str) -> AsyncIterator[BenchService]:
    """Run `quorate serve` on free ports."""
    data_dir = folder / "data"
    command = [sys.executable, "-m", "quorate.cli.main", "serve", "--data-dir", str(data_dir)]
    free = ["--port", "0", "--nats-port", "0", "--log-level", "warning", *HIGH_LIMITS]
    async with process([*command, *free, *options], folder / "quorate.log") as child:
        await _wait_for_output(child, folder / "quorate.log", b"Quorate is running")
        credentials = json.loads((data_dir / "credentials.json").read_text("utf-8"))
        yield BenchService(
            url=credentials["url"],
            nats_url=credentials["natsUrl"],
            key=credentials["apiKey"],
            admin_key=credentials["adminKey"],
            pid=child.pid,
        )


async def _wait_for_output(child: asyncio.subprocess.Process, log: Path, marker: bytes) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while marker.decode() not in _output(log):
        if child.returncode is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The process did not start:\n{_output(log)}")
        await asyncio.sleep(0.05)


async def wait_until_listening(port: int, child: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until a local port accepts connections."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if child.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The process did not start:\n{_output(log)}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


def _output(log: Path) -> str:
    return log.read_text("utf-8", "replace")
