"""Become a program that ends when its starter ends, even when that one is killed without warning.

``python leashed.py PARENT PROGRAM ARGUMENT...``: Linux is asked to kill this process when its
parent dies, then the program takes this process over, with the signals as a shell would have set
them. It is a script of its own, not a function between fork and exec: the starter has threads.
Elsewhere than on Linux the program just starts. Nothing but the standard library is imported.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_RUN = 126  # As shells say that a program was found and could not be started.


def main(parent: int, program: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # It died before we asked.
            sys.exit(CANNOT_RUN)
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execv(program[0], program)  # noqa: S606 - the program is the user's own choice.
    except OSError as error:
        sys.stderr.write(f"Error: {program[0]} cannot be started: {error.strerror}.\n")
        sys.exit(CANNOT_RUN)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
