"""A nats-server that an earlier run of ours left behind in the same folder is ended.

Only a process whose command line names our own configuration file is ever touched: a pid alone
may by now belong to anybody.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import structlog

TERMINATE_SECONDS_MAX = 1.0
KILL_SECONDS_MAX = 5.0

log = structlog.get_logger(__name__)


async def terminate_orphan(pid_file: Path, configuration: Path) -> None:
    """End the process named in ``pid_file`` if it runs with ``configuration`` (Linux only)."""
    pid = _pid(pid_file)
    if pid is None or not hasattr(os, "pidfd_open"):
        return
    try:
        process = os.pidfd_open(pid)  # Holds on to this one process, whoever gets its pid next.
    except OSError:
        return
    try:
        if _runs_with(pid, configuration):
            log.warning("nats_server_left_over", pid=pid)
            await _end(process)
    finally:
        os.close(process)


def _pid(pid_file: Path) -> int | None:
    with suppress(FileNotFoundError, ValueError):
        return int(pid_file.read_text())
    return None


def _runs_with(pid: int, configuration: Path) -> bool:
    with suppress(OSError):
        return str(configuration).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


async def _end(process: int) -> None:
    for demand, patience in (
        (signal.SIGTERM, TERMINATE_SECONDS_MAX),
        (signal.SIGKILL, KILL_SECONDS_MAX),
    ):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, demand)
        with suppress(TimeoutError):
            await asyncio.wait_for(_ended(process), patience)
            return


async def _ended(process: int) -> None:
    """A process's descriptor becomes readable when it ends."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process)
