"""One NATS client that sends commands without waiting, until it is killed.

``python -m quorate.bench.flooder HOST PORT SUBJECT REPLY BYTES`` reads the token from its input.
When it is disconnected, it connects again after RETRY_SECONDS, also when its login is refused.
"""

import json
import socket
import sys
import time

RETRY_SECONDS = 0.5
BLOCK_BYTES = 64 * 1024
LOGIN_SECONDS_MAX = 5.0


def connect(host: str, port: int, token: str) -> socket.socket:
    """Log in; raises OSError when the login is refused."""
    opened = socket.create_connection((host, port), LOGIN_SECONDS_MAX)
    options = {"auth_token": token, "verbose": False}
    opened.sendall(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
    received = b""
    while b"PONG" not in received:
        part = opened.recv(BLOCK_BYTES)
        if not part or b"-ERR" in part:
            raise ConnectionError("The login was refused")
        received += part
    opened.settimeout(None)
    return opened


def flood(host: str, port: int, token: str, block: bytes) -> None:
    while True:
        try:
            with connect(host, port, token) as opened:
                while True:
                    opened.sendall(block)
        except OSError:
            time.sleep(RETRY_SECONDS)


def main(host: str, port: int, subject: str, reply: str, size: int) -> None:
    payload = b'{"text":"' + b"x" * size + b'"}'
    message = f"PUB {subject} {reply} {len(payload)}\r\n".encode() + payload + b"\r\n"
    block = message * max(1, BLOCK_BYTES // len(message))
    flood(host, port, sys.stdin.readline().strip(), block)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
