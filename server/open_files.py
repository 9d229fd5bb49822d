"""Divide the open files that the operating system allows the process."""

import resource
import sys

FILES_RESERVED = 256  # For files that are not connections.
WAITING_SHARE = 0.25  # Of the other files, for connections that wait for their start.


def connection_files_max() -> int:
    """Return how many connections may be open."""
    return max(1, int(_connection_files() * (1 - WAITING_SHARE)))


def waiting_files_max() -> int:
    """Return how many accepted connections may wait for their start."""
    return max(1, int(_connection_files() * WAITING_SHARE))


def _connection_files() -> int:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize // 2 if allowed == resource.RLIM_INFINITY else allowed - FILES_RESERVED
