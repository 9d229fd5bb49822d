"""Lock a data directory for one process.

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


@dataclass(eq=False)
class Locked(Exception):
    """Another process uses the data directory."""

    data_dir: Path
    pid: int | None  # Unknown until the other process has written it.

    def __str__(self) -> str:
        owner = f"process {self.pid}" if self.pid else "another process"
        return f"{self.data_dir} is in use by {owner}: stop it first"


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
