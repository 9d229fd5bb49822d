"""Connections are accepted at once; addresses take turns, and few connections start per round."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from quorate.server import acceptor
from quorate.server.acceptor import Acceptor

ADDRESS, OTHER_ADDRESS = "127.0.0.1", "127.0.0.2"
SECONDS_MAX = 20.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as created:
        created.bind((ADDRESS, 0))
        created.listen(100)
        yield created


def connect(listener: socket.socket, address: str = ADDRESS) -> socket.socket:
    return socket.create_connection(listener.getsockname(), SECONDS_MAX, (address, 0))


class Started:
    """Records the clients of started connections in order."""

    def __init__(self, expected: int) -> None:
        self.clients: list[tuple[str, int]] = []
        self._expected = expected
        self._complete = asyncio.Event()

    def create_protocol(self) -> asyncio.Protocol:
        started = self

        class Recorder(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                started.clients.append(transport.get_extra_info("peername"))
                if len(started.clients) == started._expected:
                    started._complete.set()

        return Recorder()

    async def wait(self) -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await self._complete.wait()


@pytest.fixture
def one_start_per_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "STARTS_PER_ROUND_MIN", 1)
    monkeypatch.setattr(acceptor, "STARTS_PER_ROUND_MAX", 1)


@pytest.mark.usefixtures("one_start_per_round")
async def test_addresses_take_turns_and_the_newest_connection_is_first(
    listener: socket.socket,
) -> None:
    addresses = [ADDRESS, ADDRESS, ADDRESS, OTHER_ADDRESS]
    clients = [connect(listener, address) for address in addresses]
    started = Started(len(clients))
    accepting = Acceptor(listener, started.create_protocol)

    accepting.start()
    await started.wait()
    accepting.close()

    names = [client.getsockname() for client in clients]
    assert started.clients == [names[2], names[3], names[1], names[0]]
    for client in clients:
        client.close()


@pytest.mark.usefixtures("one_start_per_round")
async def test_oldest_connection_of_the_largest_address_is_closed_at_the_limit(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "WAITING_MAX", 3)
    clients = [connect(listener, each) for each in (OTHER_ADDRESS, ADDRESS, ADDRESS, ADDRESS)]
    started = Started(3)
    accepting = Acceptor(listener, started.create_protocol)

    accepting.start()
    await started.wait()
    accepting.close()

    assert clients[1].getsockname() not in started.clients
    assert clients[1].recv(1_000).startswith(b"HTTP/1.1 503 ")
    for client in clients:
        client.close()


async def test_acceptor_continues_after_an_error(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "RETRY_SECONDS", 0.0)
    failing = FailingListener(listener)
    started = Started(1)
    accepting = Acceptor(failing, started.create_protocol)  # type: ignore[arg-type]
    with connect(listener):
        accepting.start()
        await started.wait()
    accepting.close()
    assert failing.failures == 0


class FailingListener:
    """A listening socket that cannot accept at first, as with too many open files."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.failures = 3

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError("Too many open files")
        return self._listener.accept()

    def setblocking(self, flag: bool) -> None:
        self._listener.setblocking(flag)

    def fileno(self) -> int:
        return self._listener.fileno()


async def test_closed_acceptor_closes_the_connections_that_wait(listener: socket.socket) -> None:
    clients = [connect(listener) for _ in range(10)]
    started = Started(10)
    accepting = Acceptor(listener, started.create_protocol)
    accepting.start()
    await asyncio.sleep(0)
    accepting._accept()
    accepting.close()
    waited = [client for client in clients if client.getsockname() not in started.clients]

    assert waited[0].recv(1) == b""
    for client in clients:
        client.close()
