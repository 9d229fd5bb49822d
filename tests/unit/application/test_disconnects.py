"""A client that disconnects frees its subscription."""

import socket
from collections.abc import Sequence

import pytest
from fastapi import FastAPI

from quorate.api.event_streams import Frames, stream, wait_while_connected
from quorate.api.http_admission import HttpAdmission
from quorate.api.routes import route_for
from quorate.application.operations import Call, Handler, Reply, Streamed
from quorate.application.request_metrics import RequestMetrics
from quorate.application.subscriptions import CommittedEvent, Subscriptions
from quorate.contracts.operations import AnyOperation, Operation
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.asgi import Scope
from tests.integration.api.http_server import get, run_server
from tests.integration.api.raw_clients import RawConnection, wait_until
from tests.support.request_counts import count_outcomes

LONG_SECONDS = 60.0


class StubSource:
    """An empty log."""

    async def read(self, after: int) -> Frames:
        return Frames(body=b"", after=after, more=False)

    async def frames(self, committed: Sequence[CommittedEvent]) -> bytes:
        return b"".join([one.event.data for one in committed])

    async def count(self, size: int) -> None:
        pass


class FailingSource(StubSource):
    async def read(self, after: int) -> Frames:
        if after:
            raise DatabaseUnavailable("the database is away")
        return Frames(body=b"first", after=1, more=True)


class Service:
    """Paths that wait for events that never come, through FastAPI and real HTTP."""

    def __init__(self) -> None:
        self.subscriptions = Subscriptions()
        self.app = FastAPI()
        self.metrics = RequestMetrics()
        handlers: dict[str, Handler] = {
            "poll": self._poll,
            "stream": self._stream,
            "failure": self._failure,
        }
        for name, handler in handlers.items():
            operation = _endpoint(name)
            metrics = self.metrics.of("http", name)
            admission = HttpAdmission(operation, _no_principal, metrics=metrics)
            self.app.router.routes.append(route_for(operation, admission, handler))

    @property
    def open_count(self) -> int:
        return len(self.subscriptions._open)

    async def _poll(self, call: Call) -> Reply:
        subscription = self.subscriptions.subscribe_to_notifications("acme", "ann", "k1")
        async with wait_while_connected(call, subscription) as wait:
            wait.begin()
            await wait.for_change(LONG_SECONDS)
        return Reply(body=b"{}")

    async def _stream(self, call: Call) -> Streamed:
        return await stream(
            call, self.subscriptions.subscribe_to_log("acme", "k1"), 0, StubSource()
        )

    async def _failure(self, call: Call) -> Streamed:
        return await stream(
            call, self.subscriptions.subscribe_to_log("acme", "k1"), 0, FailingSource()
        )


def _endpoint(name: str) -> AnyOperation:
    return Operation(method="GET", path=f"/{name}", name=name, summary="")


async def _no_principal(_text: str, _scope: Scope) -> None:
    return None


@pytest.mark.parametrize("path", ["/poll", "/stream"])
def test_disconnect_frees_the_subscription(path: str) -> None:
    service = Service()
    with run_server(service.app) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            caller.sendall(get(path))
            wait_until(lambda: service.open_count == 1)
        wait_until(lambda: service.open_count == 0)
        name = path.removeprefix("/")
        wait_until(lambda: count_outcomes(service.metrics, name) == {"ok": 1})


def test_failure_ends_the_stream_and_is_counted() -> None:
    service = Service()
    with run_server(service.app) as server:
        with RawConnection(server.port) as caller:
            response = caller.send(get("/failure")).read_response()
        wait_until(lambda: service.open_count == 0)

    assert (response.status, response.body) == (200, b"first")
    assert count_outcomes(service.metrics, "failure") == {"unavailable": 1}
