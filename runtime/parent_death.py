"""Run a program that ends when its parent process ends, even if the parent is killed.

``python parent_death.py PARENT PROGRAM ARGUMENT...`` asks Linux to kill this process when its
parent dies, and then executes the program in the same process.

* This is a separate program, not a function between fork and exec: the service has threads, and
  Python code must not run between fork and exec in a process with threads.
* A worker of `quorate serve --workers` calls ``die_with_parent`` instead: it is a Python program.
* On other systems the program simply starts; the next start of the service ends an orphan.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9  # Importing `signal` would take a quarter of this program's run time.


def die_with_parent(parent: int) -> None:
    """End this process when the process ``parent``, which started it, ends; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # The parent died before the call to prctl.
            sys.exit(1)


def main(parent: int, program: list[str]) -> None:
    die_with_parent(parent)
    os.execv(program[0], program)  # noqa: S606 - the service chooses the program.


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
