"""Run `quorate` in a process of ``fork_listener``, whose socket is the first argument.

A script starts it in place of the program, so it imports as little as possible.
"""

import json
import os
import signal
import socket
import sys

ANSWER_BYTES_MAX = 32
FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def main(path: str, arguments: list[str]) -> None:
    request = json.dumps([arguments, dict(os.environ), os.getcwd()])  # noqa: PTH109 - an import.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(path)
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        socket.send_fds(server, [request.encode()], [0, 1, 2])
        pid = int(server.recv(ANSWER_BYTES_MAX))
        for number in FORWARDED:
            signal.signal(number, lambda number, _frame: os.kill(pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        code = int(server.recv(ANSWER_BYTES_MAX))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
