"""Fork `quorate` for shell scripts, from a process that has imported the modules of the service.

``python -m tests.support.fork_listener SOCKET`` listens for ``fork_client``, which a script starts
in place of `quorate`. The new process has the client's arguments, environment, working directory
and open files. It ends with the client; the client gets its signals, and ends as it does.
"""

import os
import select
import signal
import socket
import sys

import orjson

from quorate.runtime.parent_death import die_with_parent
from tests.support.fork_server import FILES, PROGRAM, REQUEST_BYTES_MAX, become, preload

CLIENTS_WAITING_MAX = 64


def main(path: str) -> None:
    die_with_parent(os.getppid())
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nothing waits for the processes that serve.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(CLIENTS_WAITING_MAX)
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                serve(client)
                return
            client.close()


def serve(client: socket.socket) -> None:
    """Run one program; return in its process, and end the one that waits for it."""
    request, files, _, _ = socket.recv_fds(client, REQUEST_BYTES_MAX, FILES)
    arguments, variables, folder = orjson.loads(request)
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        client.close()
        die_with_parent(server)
        os.chdir(folder)
        become(PROGRAM, arguments, variables, files)
        return
    for file in files:
        os.close(file)
    client.send(b"%d" % pid)
    ended = os.pidfd_open(pid)
    select.select([ended, client.fileno()], [], [])  # The client says nothing more: it has ended.
    if not select.select([ended], [], [], 0)[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    client.send(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
