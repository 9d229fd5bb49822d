"""Fixtures for the tests of the bounded HTTP protocol: a running server and short time limits."""

from collections.abc import Iterator

import pytest

from quorate.server import http_protocol, shared_capacity
from quorate.server.connection_table import ConnectionLimits
from tests.integration.api.http_server import (
    SHORT_SECONDS,
    EchoApplication,
    RunningServer,
    run_server,
)
from tests.integration.api.raw_clients import wait_until


@pytest.fixture(scope="module")
def application() -> EchoApplication:
    return EchoApplication()


@pytest.fixture(scope="module")
def listener(application: EchoApplication) -> Iterator[RunningServer]:
    with run_server(application) as listener:
        yield listener


@pytest.fixture
def server(listener: RunningServer, application: EchoApplication) -> RunningServer:
    """The server without open connections, as after a start."""
    wait_until(lambda: listener.connections == 0)
    application.client_disconnected.clear()
    listener.table.limits = ConnectionLimits()
    listener.table.displaced.clear()
    return listener


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time limits of the protocol."""
    for name in ("HEADER_SECONDS_MAX", "BODY_SECONDS_MAX"):
        monkeypatch.setattr(http_protocol, name, SHORT_SECONDS)
    monkeypatch.setattr(shared_capacity, "RESPONSE_SECONDS_MAX", SHORT_SECONDS)
