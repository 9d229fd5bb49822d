"""Run a program, and end all its descendants when it ends or when the parent of this script dies.

``python guardian.py PARENT LINGER_SECONDS PROGRAM ARGUMENT...``

* The program is a child of this script, in the same process group. Its descendants may change their
  process group or session and lose their parents: they become children of this script, which is a
  subreaper (Linux, prctl(2)), so all of them are found.
* When the program ends, its descendants get SIGTERM, and SIGKILL after LINGER_SECONDS.
* When the parent dies, also by SIGKILL, all of them are killed.
* The exit code is that of the program, or 128 + n if signal n ended it.

Where there is no ``/proc`` (macOS), the script is replaced by the program, and the descendants are
the caller's task. It is a separate script, because the parent has threads and must not run Python
code after fork. It imports only the standard library.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CANNOT_RUN = 126  # Shells use it for a program that cannot be started.
SIGNALLED = 128
KILL_INTERVAL_SECONDS = 0.02  # A process may fork while its siblings are killed.
KILL_SECONDS_MAX = 5.0  # Processes of other users (setuid) cannot be killed.
IS_SUPPORTED = sys.platform == "linux" and os.path.isdir("/proc/self")  # noqa: PTH112 - fast start.
_PARENT_DIED = signal.SIGTERM
_WAKING = {signal.SIGCHLD, _PARENT_DIED}


def descendants(root: int) -> list[int]:
    """Return the ids of all running descendants of a process, nearest first (Linux only)."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(root, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """Return the id and the parent's id of every process that runs."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib starts slowly.
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state not in {b"Z", b"X"}:
                    yield int(name), int(parent)


def signal_descendants(root: int, *numbers: signal.Signals) -> None:
    """Send signals to all descendants that this user may signal."""
    for pid in descendants(root):
        with suppress(ProcessLookupError, PermissionError):
            for number in numbers:
                os.kill(pid, number)


class _Guardian:
    def __init__(self, parent: int, linger_seconds: float, program: list[str]) -> None:
        self._parent = parent
        self._linger_seconds = linger_seconds
        self._program = program
        self._code: int | None = None
        self._kill_at: float | None = None

    def run(self) -> int:
        # Blocked: signals to the process group are for the program.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        at_start = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        libc.prctl(PR_SET_PDEATHSIG, _PARENT_DIED, 0, 0, 0)
        if self._is_orphan():  # The parent died before prctl.
            return CANNOT_RUN
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, at_start)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            execute(self._program)
        _release_streams()
        while self._reap(child):
            signal.sigtimedwait(_WAKING, self._end_descendants())
        return SIGNALLED if self._code is None else self._code

    def _is_orphan(self) -> bool:
        return os.getppid() != self._parent

    def _reap(self, child: int) -> bool:
        """Collect the processes that have ended; return whether any is left to wait for."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return self._kill_at is None or time.monotonic() < self._kill_at + KILL_SECONDS_MAX
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else SIGNALLED - code
                self._kill_at = time.monotonic() + self._linger_seconds
                signal_descendants(os.getpid(), signal.SIGTERM, signal.SIGCONT)

    def _end_descendants(self) -> float:
        """Kill the descendants if it is time; return the seconds until the next call."""
        now = time.monotonic()
        if self._is_orphan():
            self._kill_at = min(now, self._kill_at or now)
        if self._kill_at is None:
            return 3_600.0
        if now < self._kill_at:
            return self._kill_at - now
        signal_descendants(os.getpid(), signal.SIGKILL)
        return KILL_INTERVAL_SECONDS


def _release_streams() -> None:
    """Close the streams of the program here, so that their other ends see when it closes them."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    os.close(null)


def execute(program: list[str]) -> None:
    """Replace this process by the program, with the signal handling that Python has changed."""
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execv(program[0], program)  # noqa: S606 - the user chose the program.
    except OSError as error:
        sys.stderr.write(f"Error: Cannot start {program[0]}: {error.strerror}.\n")
        sys.stderr.flush()
        os._exit(CANNOT_RUN)


def main(parent: int, linger_seconds: float, program: list[str]) -> None:
    if not IS_SUPPORTED:
        execute(program)
    sys.exit(_Guardian(parent, linger_seconds, program).run())


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
