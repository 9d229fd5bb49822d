"""An HTTP server with the bounded protocol and an echo application, and requests for it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn

from quorate.api.connection_owner import slow_down
from quorate.api.fast_lane import FastOperation
from quorate.api.http_admission import HttpAdmission
from quorate.application.operations import Call, Reply
from quorate.contracts.identity.tenants import TenantBody
from quorate.contracts.operations import AnyOperation, Operation
from quorate.domain.shared.records import record
from quorate.runtime.asgi import ASGIApplication, Receive, Scope, Send
from quorate.runtime.service_defaults import CONNECTION_LIMITS
from quorate.server.connection_table import ConnectionLimits, ConnectionTable
from quorate.server.http_protocol import BoundedHttpProtocol
from quorate.server.request_turns import RequestTurns
from quorate.server.run import UNSENT_KERNEL_BYTES
from tests.integration.api.raw_clients import head, wait_until

SLOW_SECONDS = 0.1
SHORT_SECONDS = 0.8  # Replaces the time limits of the protocol to keep the tests short.
LARGE_BYTES = 16_000_000
UNREAD_BYTES = 1_000_000  # More than the kernel keeps for a client that does not read.
BODY = b'{"tenantId":"acme"}'


def get(path: str = "/here") -> bytes:
    return head("GET", path)


def post(body: bytes = BODY, **headers: object) -> bytes:
    known: dict[str, object] = {"Content_Type": "application/json", "Content_Length": len(body)}
    return head("POST", "/echo", **known | headers) + body


def chunked(body: bytes) -> bytes:
    sent = head("POST", "/echo", Content_Type="application/json", Transfer_Encoding="chunked")
    return sent + body


async def echo(call: Call) -> Reply:
    return Reply(body=call.body.tenant_id.encode())


ECHO: AnyOperation = Operation(
    method="POST", path="/echo", name="echo", summary="", body=TenantBody
)


async def _reject_all(_text: str, _scope: Scope) -> None:
    return None


class EchoApplication:
    """Returns the path of the request; ``/echo`` uses a ``FastOperation``."""

    def __init__(self) -> None:
        self.client_disconnected = threading.Event()
        self.begun: list[str] = []
        self._echo_app = FastOperation(HttpAdmission(ECHO, _reject_all), echo)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.append(scope["path"])
        match scope["path"]:
            case "/echo":
                await self._echo_app(scope, receive, send)
                return
            case "/stream":
                await self._stream(receive, send)
                return
            case "/flood":
                await self._flood(receive, send)
                return
            case "/limited":
                slow_down(scope)
            case "/slow":
                await asyncio.sleep(SLOW_SECONDS)
        body = scope["path"].encode()
        if scope["path"] == "/large":
            body *= LARGE_BYTES // len(body)
        if scope["path"] == "/unread":
            body = bytes(UNREAD_BYTES)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _flood(self, receive: Receive, send: Send) -> None:
        """Send as fast as the client reads, until it disconnects."""
        sending = asyncio.create_task(self._send_endlessly(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        sending.cancel()
        self.client_disconnected.set()

    async def _send_endlessly(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            await asyncio.sleep(0)  # After a disconnect, "send" returns at once.

    async def _stream(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.client_disconnected.set()


def limits(**chosen: int) -> ConnectionLimits:
    """Return the limits of connections, without those that are not named."""
    unlimited = dict.fromkeys(CONNECTION_LIMITS, 0)
    return ConnectionLimits(**unlimited | chosen)


@record
class RunningServer:
    port: int
    server: uvicorn.Server
    table: ConnectionTable

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@contextmanager
def run_server(application: ASGIApplication) -> Iterator[RunningServer]:
    """Run an ASGI application with the bounded HTTP protocol in a thread."""
    table = ConnectionTable()
    config = uvicorn.Config(
        application,
        http=partial(BoundedHttpProtocol, table=table, turns=RequestTurns()),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_KERNEL_BYTES)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield RunningServer(port=listener.getsockname()[1], server=server, table=table)
        finally:
            server.should_exit = True
            thread.join()
