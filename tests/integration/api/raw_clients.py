"""Strangers: bytes on a socket, what comes back, and the servers that they meet.

Nothing here knows HTTP better than it must. A client library would refuse to send most of what
these tests send.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from quorate.domain.shared.records import record
from tests.support.paths import ROOT

PATIENCE_SECONDS = 20.0
START_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.02
READ_BYTES = 65_536


@record
class Heard:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON can say.
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem, which must be a whole one."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = self.json
        assert problem["status"] == self.status
        assert problem["type"] == f"urn:quorate:problem:{problem['code']}"
        assert problem["requestId"] == self.headers["x-request-id"]
        return str(problem["code"])


class Wire:
    """A connection, and what was read from it but not looked at yet."""

    def __init__(self, port: int, *, receive_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(("127.0.0.1", port))
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, data: bytes) -> "Wire":
        self._socket.sendall(data)
        return self

    def say_while_heard(self, data: bytes) -> "Wire":
        """For more than the other side may care to read."""
        with suppress(ConnectionError):
            self._socket.sendall(data)
        return self

    def half_close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def hear(self) -> Heard:
        """The next response; those of status 1xx are skipped."""
        heard = self.hear_head()
        return replace(heard, body=self._body(heard.headers))

    def hear_head(self) -> Heard:
        """The beginning of a response whose body may have no end."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        status = int(first.split(" ", 2)[1])
        if status < 200:
            return self.hear_head()
        pairs = (line.split(": ", 1) for line in lines if line)
        headers = {name.lower(): value for name, value in pairs}
        return Heard(status=status, headers=headers, body=b"")

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self._exactly(int(headers["content-length"]))
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            self._until(b"\r\n")
        self._until(b"\r\n")
        return body

    def read_some(self) -> bytes:
        """Whatever comes next; nothing when the other side has closed."""
        return self._socket.recv(READ_BYTES)

    def closes(self) -> bool:
        """Nothing more comes, and the connection ends."""
        try:
            return not self._unread and not self.read_some()
        except ConnectionError:
            return True

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            self._more()
        found, _, self._unread = self._unread.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._more()
        found, self._unread = self._unread[:size], self._unread[size:]
        return found

    def _more(self) -> None:
        data = self.read_some()
        if not data:
            raise ConnectionError("closed before the response was whole")
        self._unread += data


def head(method: str, path: str, **headers: object) -> bytes:
    """A header section; underscores in names stand for hyphens."""
    lines = [f"{method} {path} HTTP/1.1", "Host: quorate.test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


# -- Servers -----------------------------------------------------------------


@record
class Served:
    """A whole service in a process of its own."""

    port: int
    tenant: str
    key: str
    admin_key: str
    log: Path

    def ask(
        self, method: str, path: str, body: object = None, *, key: str | None = None, **headers: str
    ) -> Heard:
        """One request as a well-behaved client sends it."""
        sent = b"" if body is None else body if isinstance(body, bytes) else encoded(body)
        known: dict[str, object] = {"Authorization": f"Bearer {key or self.key}"}
        if body is not None:
            known |= {"Content_Type": "application/json", "Content_Length": len(sent)}
        with Wire(self.port) as wire:
            return wire.say(head(method, path, **known | headers) + sent).hear()


def encoded(body: object) -> bytes:
    return json.dumps(body).encode()


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Served]:
    log = folder / "log"
    command = [
        sys.executable,
        "-m",
        "quorate.cli.main",
        "serve",
        "--data-dir",
        str(folder / "data"),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--port", "0", "--nats-port", "0", *options],
            stdout=out,
            stderr=out,
            env=environment,
        )
    try:
        yield _started(process, folder / "data" / "credentials.json", log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


def _started(process: "subprocess.Popen[bytes]", credentials: Path, log: Path) -> Served:
    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        return b"Quorate is running" in log.read_bytes()

    wait_until(is_up, START_SECONDS_MAX)
    found = json.loads(credentials.read_text())
    return Served(
        port=int(found["url"].rpartition(":")[2]),
        tenant=found["tenantId"],
        key=found["apiKey"],
        admin_key=found["adminKey"],
        log=log,
    )


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(LOOK_SECONDS)
