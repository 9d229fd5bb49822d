"""Raw HTTP clients on sockets, and the servers for them.

The tests send malformed requests, which an HTTP client library rejects. This module therefore
implements only the necessary parts of HTTP.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from quorate.domain.shared.records import record
from tests.support.paths import ROOT

TIMEOUT_SECONDS = 20.0
START_SECONDS_MAX = 90.0
POLL_SECONDS = 0.02
READ_BYTES = 65_536


@record
class RawResponse:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value.
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the problem; asserts that the problem is complete."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = self.json
        assert problem["status"] == self.status
        assert problem["type"] == f"urn:quorate:problem:{problem['code']}"
        assert problem["requestId"] == self.headers["x-request-id"]
        return str(problem["code"])


class RawConnection:
    """A TCP connection, with the bytes that were received but not yet parsed."""

    def __init__(self, port: int, *, receive_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(TIMEOUT_SECONDS)
        self._socket.connect(("127.0.0.1", port))
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> "RawConnection":
        self._socket.sendall(data)
        return self

    def send_ignoring_errors(self, data: bytes) -> "RawConnection":
        """Send data although the server may close the connection before it reads all of it."""
        with suppress(ConnectionError):
            self._socket.sendall(data)
        return self

    def half_close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def read_response(self) -> RawResponse:
        """Return the next response; responses with status 1xx are skipped."""
        response = self.read_response_head()
        return replace(response, body=self._body(response.headers))

    def read_response_head(self) -> RawResponse:
        """Return the status and headers of a response; its body may be endless."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        status = int(first.split(" ", 2)[1])
        if status < 200:
            return self.read_response_head()
        pairs = (line.split(": ", 1) for line in lines if line)
        headers = {name.lower(): value for name, value in pairs}
        return RawResponse(status=status, headers=headers, body=b"")

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
        """Return the next received bytes; empty after the server closed the connection."""
        return self._socket.recv(READ_BYTES)

    def is_closed(self) -> bool:
        """Whether the server closes the connection without sending more data."""
        try:
            return not self._unread and not self.read_some()
        except ConnectionError:
            return True

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            self._receive_more()
        found, _, self._unread = self._unread.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._receive_more()
        found, self._unread = self._unread[:size], self._unread[size:]
        return found

    def _receive_more(self) -> None:
        data = self.read_some()
        if not data:
            raise ConnectionError("the connection closed before the response was complete")
        self._unread += data


def head(method: str, path: str, **headers: object) -> bytes:
    """Build a request head; underscores in header names become hyphens."""
    lines = [f"{method} {path} HTTP/1.1", "Host: quorate.test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


# -- Servers -----------------------------------------------------------------


@record
class RunningService:
    """A running service process; its data directory and its log are in one folder."""

    port: int
    tenant: str
    key: str
    admin_key: str
    log: Path

    def request(
        self, method: str, path: str, body: object = None, *, key: str | None = None, **headers: str
    ) -> RawResponse:
        """Send one valid request and return the response."""
        sent = b"" if body is None else body if isinstance(body, bytes) else encoded(body)
        known: dict[str, object] = {"Authorization": f"Bearer {key or self.key}"}
        if body is not None:
            known |= {"Content_Type": "application/json", "Content_Length": len(sent)}
        with RawConnection(self.port) as connection:
            return connection.send(head(method, path, **known | headers) + sent).read_response()


def encoded(body: object) -> bytes:
    return json.dumps(body).encode()


def run_service(folder: Path, *options: str) -> AbstractContextManager[RunningService]:
    """Run ``quorate serve``, which serves the hardened HTTP protocol."""
    ports = ("--port", "0", "--nats-port", "0")
    serve = ["quorate.cli.main", "serve", "--data-dir", str(folder / "data"), *ports, *options]
    return _run(folder, serve, {}, b"Quorate is running")


def run_uvicorn(folder: Path, **variables: str) -> AbstractContextManager[RunningService]:
    """Run the service under plain uvicorn; the options of the service are variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    application = ["uvicorn", "quorate.server.container:create_app", "--factory"]
    given = variables | {
        "QUORATE_DATA_DIR": str(folder / "data"),
        "QUORATE_NATS_PORT": "0",
        "QUORATE_PORT": port,
    }
    uvicorn = [*application, "--no-proxy-headers", "--no-server-header", "--port", port]
    return _run(folder, uvicorn, given, b"Uvicorn running")


@contextmanager
def _run(
    folder: Path, module: Sequence[str], variables: Mapping[str, str], ready: bytes
) -> Iterator[RunningService]:
    """Run a module with arguments; yield the service when its log contains ``ready``."""
    log = folder / "log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], stdout=out, stderr=out, env=environment
        )

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        return ready in log.read_bytes()

    try:
        wait_until(is_up, START_SECONDS_MAX)
        found = json.loads((folder / "data" / "credentials.json").read_text())
        yield RunningService(
            port=int(found["url"].rpartition(":")[2]),
            tenant=found["tenantId"],
            key=found["apiKey"],
            admin_key=found["adminKey"],
            log=log,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(TIMEOUT_SECONDS)
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool], seconds: float = TIMEOUT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(POLL_SECONDS)
