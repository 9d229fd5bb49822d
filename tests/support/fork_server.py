"""Fork `quorate` processes from one that has imported the modules of the service.

``python -m tests.support.fork_server SOCKET`` answers each request with the id of a new process. A
request has a module, arguments, an environment, a working directory, the id of the caller, and
three open files.

* The new process has exactly these, and its own session.
* It runs the module to its end, like ``python -m``: ``quorate.cli.main``, or a faulty program of
  the tests that replaces it.
* It becomes a child of the process that asked for it (a "subreaper"), which waits for it as usual.
  It ends with that process, even if that is killed; so does this server.
* No state is shared: Python's random numbers are seeded again in a fork, ids come from the system.
"""

import gc
import importlib
import os
import runpy
import socket
import sys
import threading
import time

import orjson

from quorate.runtime.parent_death import die_with_parent

PROGRAM = "quorate.cli.main"
# Whatever `serve` imports without options for workers and traces, which are read during an import.
PRELOADED = (
    PROGRAM,
    "quorate.cli.commands.serve",
    "quorate.server.run",
    "quorate.server.workers",
    "quorate.api.app",
    "anyio._backends._asyncio",
    "pydantic.v1",
    "uvicorn.lifespan.off",
)
REQUEST_BYTES_MAX = 200_000
FILES = 3
PID_BYTES_MAX = 32


def preload() -> None:
    """Import what the forked processes use, and let them share its pages."""
    for name in PRELOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, "threads do not survive a fork"
    gc.collect()
    gc.freeze()


def main(control: socket.socket) -> None:
    preload()
    while True:
        request, files, _, _ = socket.recv_fds(control, REQUEST_BYTES_MAX, FILES)
        if not request:
            return
        program, arguments, variables, folder, caller = orjson.loads(request)
        answer, said = os.pipe()
        adopted, adopting = os.pipe()  # Closed when the new process is a child of the caller.
        middle = os.fork()
        if middle == 0 and _is_new_process(said):
            control.close()
            os.close(answer)
            os.close(adopting)
            os.read(adopted, 1)
            os.close(adopted)
            die_with_parent(caller)
            os.chdir(folder)
            become(program, arguments, variables, files)
            return
        os.close(said)
        for file in files:
            os.close(file)
        os.waitpid(middle, 0)  # From now on the new process is a child of the caller.
        os.close(adopted)
        os.close(adopting)
        control.send(os.read(answer, PID_BYTES_MAX))
        os.close(answer)


def _is_new_process(said: int) -> bool:
    """Fork once more: return True in the new process; the one in between ends."""
    pid = os.fork()
    if pid:
        os.write(said, b"%d" % pid)
        os._exit(0)
    os.close(said)
    return True


def become(program: str, arguments: list[str], variables: dict[str, str], files: list[int]) -> None:
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    sys.argv = [program, *arguments]
    gc.unfreeze()
    if program == PROGRAM:
        importlib.import_module(PROGRAM).main()
    else:
        runpy.run_module(program, run_name="__main__")


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
