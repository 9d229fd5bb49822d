"""Terminate a nats-server that an earlier run of the service left behind in the same directory.

Only a process whose command line contains the configuration file is terminated. A pid alone may
belong to an unrelated process by now.
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
    """Terminate the process in ``pid_file`` if it runs with ``configuration`` (Linux only)."""
    pid = _read_pid(pid_file)
    if pid is None or not hasattr(os, "pidfd_open"):
        return
    try:
        process = os.pidfd_open(pid)  # Refers to this process even if its pid is reused.
    except OSError:
        return
    try:
        if _runs_with(pid, configuration):
            log.warning("nats_server.orphan_found", pid=pid)
            await _terminate(process)
    finally:
        os.close(process)


def _read_pid(pid_file: Path) -> int | None:
    with suppress(FileNotFoundError, ValueError):
        return int(pid_file.read_text())
    return None


def _runs_with(pid: int, configuration: Path) -> bool:
    with suppress(OSError):
        return str(configuration).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


async def _terminate(process: int) -> None:
    for signal_number, timeout_seconds in (
        (signal.SIGTERM, TERMINATE_SECONDS_MAX),
        (signal.SIGKILL, KILL_SECONDS_MAX),
    ):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal_number)
        with suppress(TimeoutError):
            await asyncio.wait_for(_wait_for_exit(process), timeout_seconds)
            return


async def _wait_for_exit(process: int) -> None:
    """Return when the process ends: its descriptor then becomes readable."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process)
