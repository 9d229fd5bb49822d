"""Replace this process by a program that the kernel kills when its parent process dies.

``python exec_program.py PARENT PROGRAM ARGUMENT...``: the script requests SIGKILL on the death of
its parent (Linux only), restores the signal handlers that Python ignores, and executes the program.
It is a separate script, because the parent has threads and must not run Python code after fork.
It imports only the standard library.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_RUN = 126  # Shells use it for a program that cannot be started.


def main(parent: int, program: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # The parent died before prctl.
            sys.exit(CANNOT_RUN)
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execv(program[0], program)  # noqa: S606 - the user chose the program.
    except OSError as error:
        sys.stderr.write(f"Error: Cannot start {program[0]}: {error.strerror}.\n")
        sys.exit(CANNOT_RUN)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
