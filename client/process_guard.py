"""Detect a fork, so that a child process does not use what belongs to its parent.

After ``os.fork()`` the child has copies of all objects, but not the threads and tasks that renew
leases. Its sockets are those of the parent. So everything that existed before the fork raises
``ForkedError`` in the child, and the end of its blocks has no effect there. The child may connect
an agent of its own.
"""

import os

from quorate.client.errors import ForkedError

_forks = 0  # Between the first process and this one.


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - a fact about the process.
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class ProcessGuard:
    """The process in which this object was made."""

    def __init__(self) -> None:
        self._forks = _forks

    @property
    def is_forked(self) -> bool:
        """Whether this is a child of that process."""
        return self._forks != _forks

    def check(self) -> None:
        """Raise ForkedError in a child of that process."""
        if self._forks != _forks:
            raise ForkedError(
                "The process was forked, and this object belongs to the parent: connect again"
            )
