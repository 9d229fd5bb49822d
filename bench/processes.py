"""Starting what is measured, each as a process of its own, and ending just that."""

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

# Buckets are asked, and are never empty: what is measured is the service, not its limits.
GENEROUS = [
    *(f"--{what}-per-{whom}={10**6}" for what in ("rate", "burst") for whom in ("key", "tenant")),
    *(f"--quota-live-leases{of}={10**9}" for of in ("", "-per-agent")),
]
READY_SECONDS_MAX = 20.0
END_SECONDS_MAX = 8.0


@record
class Running:
    """A quorate service of our own."""

    url: str
    nats_url: str
    key: str
    admin_key: str
    pid: int


@asynccontextmanager
async def process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child that is ended when the block is left, whatever happened."""
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
                await asyncio.wait_for(child.wait(), END_SECONDS_MAX)
            except TimeoutError:
                child.kill()
                await child.wait()


@asynccontextmanager
async def quorate(folder: Path, *options: str) -> AsyncIterator[Running]:
    """`quorate serve` on free ports."""
    data_dir = folder / "data"
    command = [sys.executable, "-m", "quorate.cli.main", "serve", "--data-dir", str(data_dir)]
    free = ["--port", "0", "--nats-port", "0", "--log-level", "warning", *GENEROUS]
    async with process([*command, *free, *options], folder / "quorate.log") as child:
        await _answers(child, folder / "quorate.log", b"Quorate is running")
        found = json.loads((data_dir / "credentials.json").read_text("utf-8"))
        yield Running(
            url=found["url"],
            nats_url=found["natsUrl"],
            key=found["apiKey"],
            admin_key=found["adminKey"],
            pid=child.pid,
        )


async def _answers(child: asyncio.subprocess.Process, log: Path, sign: bytes) -> None:
    until = time.monotonic() + READY_SECONDS_MAX
    while sign.decode() not in _said(log):
        if child.returncode is not None or time.monotonic() > until:
            raise RuntimeError(f"it did not start:\n{_said(log)}")
        await asyncio.sleep(0.05)


async def listening(port: int, child: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until something accepts connections on a port of this machine."""
    until = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if child.returncode is not None or time.monotonic() > until:
                raise RuntimeError(f"it did not start:\n{_said(log)}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


def _said(log: Path) -> str:
    return log.read_text("utf-8", "replace")
