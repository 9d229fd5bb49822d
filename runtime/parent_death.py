"""Run a program that ends when its parent ends, even when that one is killed without warning.

``python tethered.py PARENT PROGRAM ARGUMENT...``: Linux is asked to kill this process when its
parent dies, then the program takes this process over. It is a process of its own, not a function
between fork and exec: the service has threads, and Python must not run between the two with them.
Elsewhere than on Linux the program just starts; what is left over is ended at the next start.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9  # To load `signal`, which would tell, takes a quarter of this program's time.


def main(parent: int, program: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # It died before we asked.
            sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - the program is the service's own choice.


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
