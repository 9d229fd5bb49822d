"""Start `quorate` without importing its modules again: three quarters of the work of a start.

``ForkedProcess`` offers what the tests use of ``subprocess.Popen``. The processes are forked by
``fork_server``, which starts with the first of them. It and they end with the test process, even if
that is killed. A test that is about the start itself, about workers or about variables of Python
executes the program instead.
"""

import ctypes
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import orjson

from tests.support.fork_server import PROGRAM
from tests.support.paths import ROOT

PR_SET_CHILD_SUBREAPER = 36
IS_SUPPORTED = sys.platform == "linux"
ANSWER_BYTES_MAX = 32
START_SECONDS_MAX = 120.0
POLL_SECONDS = 0.02
_starting = threading.Lock()


class _ForkServer:
    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(START_SECONDS_MAX)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                env=_own_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def fork(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        folder: Path,
        files: Sequence[int],
        program: str,
    ) -> int:
        _adopt_orphans(yes=True)
        try:
            request = orjson.dumps([program, arguments, variables, str(folder), os.getpid()])
            socket.send_fds(self._control, [request], files)
            return int(self._control.recv(ANSWER_BYTES_MAX))
        finally:
            _adopt_orphans(yes=False)

    def end(self) -> None:
        self._control.close()
        self._process.wait()


_running: list[_ForkServer] = []


def end_fork_server() -> None:
    while _running:
        _running.pop().end()


def _adopt_orphans(*, yes: bool) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


@contextmanager
def fork_listener() -> Iterator[str]:
    """Yield the command that runs `quorate` in a shell script, without importing its modules."""
    with TemporaryDirectory(prefix="fork-") as folder:  # Paths of sockets are short.
        path = Path(folder) / "socket"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_listener", path],
            cwd=ROOT,
            env=_own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while not path.exists():
                assert process.poll() is None, "the fork listener has ended"
                assert time.monotonic() < deadline, "the fork listener did not start"
                time.sleep(POLL_SECONDS)
            client = Path(__file__).with_name("fork_client.py")
            words = (sys.executable, "-I", "-S", str(client), str(path))
            yield " ".join(map(shlex.quote, words))
        finally:
            process.kill()
            process.wait()


def _own_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}


class ForkedProcess:
    """A running `quorate` with these arguments and only these variables, in its own session.

    ``program`` is a module that runs instead of `quorate`.
    """

    stdin = None

    def __init__(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        stderr: int,
        folder: Path = ROOT,
        program: str = PROGRAM,
    ) -> None:
        output, theirs = os.pipe()
        self.stdout: IO[bytes] = os.fdopen(output, "rb", buffering=0)  # Its user closes it.
        self.returncode: int | None = None
        try:
            with _starting, Path(os.devnull).open("rb") as stdin:
                if not _running:
                    _running.append(_ForkServer())
                files = (stdin.fileno(), theirs, stderr)
                self.pid = _running[0].fork(arguments, variables, folder, files, program)
        finally:
            os.close(theirs)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; raise ``subprocess.TimeoutExpired`` after ``timeout`` seconds."""
        if self.poll() is None:
            ending = os.pidfd_open(self.pid)
            try:
                select.select([ending], [], [], timeout)
            finally:
                os.close(ending)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(["quorate"], timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
