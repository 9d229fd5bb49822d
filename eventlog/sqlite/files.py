"""The files of a SQLite log: one process locks them, and notices when they are gone.

* The lock is an ``flock`` on the database file itself. It holds for every path of the file: other
  directories, symbolic and hard links, and containers that share a volume.
* ``flock`` and SQLite's own ``fcntl`` locks are separate. But closing any descriptor of a file ends
  all ``fcntl`` locks of the process on it, so a file that this process uses is never opened again.
* A file that was removed or replaced still accepts writes through open descriptors, and loses
  them when the process ends.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from quorate.eventlog.database import DatabaseUnusable
from quorate.runtime.process_lock import Locked, lock_owner

OWNER_ONLY = 0o600
_WRITE_AHEAD_LOG, _INDEX = "-wal", "-shm"
_SUFFIXES = ("", _WRITE_AHEAD_LOG, _INDEX)
Identity: TypeAlias = tuple[int, int]  # Device and inode.

_locked_here: set[Identity] = set()


class DatabaseFiles:
    """The database file, its write-ahead log, and the index of that log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._paths = [f"{path}{suffix}" for suffix in _SUFFIXES]
        self._known: dict[str, Identity] = {}
        self._of_commits: dict[str, Identity] = {}  # Without the index, whose loss loses nothing.
        self.write_ahead_log_bytes = 0  # When the files were last compared.
        self._lock: tuple[int, Identity] | None = None  # Its descriptor.

    # -- Lock ----------------------------------------------------------------------

    @property
    def is_locked(self) -> bool:
        return self._lock is not None

    def lock(self) -> None:
        """Lock the database file, and create it if it is missing; raises Locked."""
        if _identity(str(self.path)) in _locked_here:
            raise Locked(self.path, os.getpid())
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
        except OSError:
            return  # SQLite cannot open it either, and reports the error.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = lock_owner(descriptor)
            os.close(descriptor)
            raise Locked(self.path, owner) from None
        except OSError as error:
            os.close(descriptor)
            raise DatabaseUnusable(f"{self.path} cannot be locked: {error.strerror}") from error
        found = os.fstat(descriptor)
        self._lock = descriptor, (found.st_dev, found.st_ino)
        _locked_here.add(self._lock[1])
        try:
            self.require_one_name()
        except DatabaseUnusable:
            self.unlock()
            raise

    def unlock(self) -> None:
        """Release the lock, after all connections were closed."""
        if self._lock is not None:
            descriptor, identity = self._lock
            self._lock = None
            _locked_here.discard(identity)
            os.close(descriptor)

    def require_one_name(self) -> None:
        """Raise DatabaseUnusable for a file with several hard links, also for readers.

        The newest events may be in the write-ahead log, which SQLite finds by the name.
        """
        with suppress(OSError):
            names = self.path.stat().st_nlink
            if names > 1:
                raise DatabaseUnusable(
                    f"{self.path} has {names} names (hard links): remove the others, because the"
                    " newest events are in files that belong to one name"
                )

    # -- Identity --------------------------------------------------------------------

    def remember(self) -> None:
        """Remember which files are open now."""
        self._known = {
            path: found for path in self._paths if (found := _identity(path)) is not None
        }
        self._of_commits = dict(self._known)
        self._of_commits.pop(self._paths[-1], None)

    def find_missing(self, *, after_commit: bool = False) -> str | None:
        """Return a path that no longer leads to the file that is open."""
        self.write_ahead_log_bytes = 0
        for path, known in (self._of_commits if after_commit else self._known).items():
            try:
                found = os.stat(path)  # noqa: PTH116 - it must be fast.
            except (FileNotFoundError, NotADirectoryError):
                return path
            except OSError:
                continue  # A failing disk shows in the writes.
            if found.st_ino != known[1] or found.st_dev != known[0]:
                return path
            if path.endswith(_WRITE_AHEAD_LOG):
                self.write_ahead_log_bytes = found.st_size
        return None


def _identity(path: str) -> Identity | None:
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116
        return found.st_dev, found.st_ino
    return None
