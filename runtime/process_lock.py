"""Lock a data directory, or a file, for one process.

The operating system releases the lock when the process ends, so a stale lock file never blocks a
start. The file is kept: if it were removed, two processes could lock two different files.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

LOCK_FILE = "lock"
LOCK_FILE_MODE = 0o600
_PID_LENGTH_MAX = 20
_LOCKS = Path("/proc/locks")


@dataclass(eq=False)
class Locked(Exception):
    """Another process uses the data directory or the file."""

    path: Path
    pid: int | None  # Unknown until the other process has written it.

    def __str__(self) -> str:
        owner = f"process {self.pid}" if self.pid else "another process"
        return f"{self.path} is in use by {owner}: stop it first"


def lock_owner(descriptor: int) -> int | None:
    """Return the process that holds the ``flock`` of this file, where the system lists it."""
    found = os.fstat(descriptor)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        lines = _LOCKS.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:  # For example: ``1: FLOCK  ADVISORY  WRITE 4711 08:02:131 0 EOF``.
        fields = line.split()
        if fields[1:2] == ["FLOCK"] and fields[5:6] == [device] and int(fields[4]) > 0:
            return int(fields[4])
    return None


class DataDirLock:
    """Hold the lock from ``acquire`` to ``release``, or in a ``with`` block; raise Locked."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    def acquire(self) -> None:
        path = self._data_dir / LOCK_FILE
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, LOCK_FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, _PID_LENGTH_MAX).strip()
            os.close(descriptor)
            raise Locked(self._data_dir, int(owner) if owner.isdigit() else None) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
