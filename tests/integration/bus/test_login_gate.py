"""A client with a valid key is never refused while an embedded nats-server starts."""

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson

from quorate.bus.embedded.configuration import service_keys
from quorate.bus.embedded.login_gate import HANDSHAKE_SECONDS_MAX
from quorate.bus.embedded.server import LOOPBACK, EmbeddedServer
from quorate.bus.service import FOLDER, NatsService
from tests.integration.bus.stage import WAIT_SECONDS_MAX, KeyStore, MemoryLog, until

STARTS = 10
RESTARTS = 3
PAUSE_SECONDS = 0.001  # The service runs in the same event loop.
WAITED, REFUSED, ACCEPTED = "closed without an error", "refused", "accepted"


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


class Clients:
    """A client without pauses: it logs in as soon as the port is open, and again."""

    def __init__(self, port: int, token: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self.may_run = asyncio.Event()
        self.may_run.set()
        self._port = port
        login = {"auth_token": token, "verbose": False, "pedantic": False, "lang": "test"}
        self._login = b"CONNECT " + orjson.dumps(login) + b"\r\nPING\r\n"

    async def run(self) -> None:
        while True:
            await self.may_run.wait()
            with suppress(OSError):
                self.outcomes[await self._log_in()] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _log_in(self) -> str:
        reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
        try:
            if not (await reader.readline()).startswith(b"INFO"):
                return WAITED
            writer.write(self._login)
            while line := await reader.readline():
                if line.startswith(b"-ERR"):
                    return REFUSED
                if line.startswith(b"PONG"):
                    return ACCEPTED
            return WAITED  # The server was killed.
        finally:
            writer.close()


@asynccontextmanager
async def clients_of(port: int, keys: KeyStore) -> AsyncIterator[Clients]:
    clients = Clients(port, keys.issue("tenant").key_id)
    tasks = [asyncio.create_task(clients.run()) for _ in range(2)]
    try:
        yield clients
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def accepts_again(clients: Clients) -> None:
    accepted = clients.outcomes[ACCEPTED]
    await until(lambda: clients.outcomes[ACCEPTED] > accepted or bool(clients.outcomes[REFUSED]))


async def test_valid_key_is_never_refused_while_the_service_starts(tmp_path: Path) -> None:
    port, keys = free_port(), KeyStore()
    async with clients_of(port, keys) as clients:
        for _ in range(STARTS):
            service = NatsService(
                data_dir=tmp_path,
                authenticate=keys.authenticate,
                committed=MemoryLog(),
                nats_port=port,
            )
            await service.start()
            await accepts_again(clients)
            clients.may_run.clear()  # nats-server waits for a login in progress when it stops.
            await service.stop()
            clients.may_run.set()

    assert clients.outcomes[REFUSED] == 0
    assert clients.outcomes[ACCEPTED] >= STARTS


async def test_valid_key_is_never_refused_while_the_server_is_restarted(tmp_path: Path) -> None:
    port, keys = free_port(), KeyStore()
    service = NatsService(
        data_dir=tmp_path, authenticate=keys.authenticate, committed=MemoryLog(), nats_port=port
    )
    await service.start()
    server = service.server
    assert server is not None
    try:
        async with clients_of(port, keys) as clients:
            for _ in range(RESTARTS):
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)
                await until(lambda: not server.ready.is_set())
                await accepts_again(clients)
                await until(server.ready.is_set)
    finally:
        await service.stop()

    assert clients.outcomes[REFUSED] == 0


async def test_worker_is_waited_for_when_the_parent_runs_the_server(tmp_path: Path) -> None:
    store, keys = KeyStore(), service_keys(tmp_path / FOLDER)
    server = EmbeddedServer(tmp_path, keys, holds_logins=True)
    await server.start()
    worker = NatsService(
        data_dir=tmp_path,
        authenticate=store.authenticate,
        committed=MemoryLog(),
        nats_url=server.url,
        holds_logins=True,
        keys=keys,
    )
    try:
        async with clients_of(server.port, store) as clients:
            await until(lambda: clients.outcomes[WAITED] > 0)
            assert not server.ready.is_set()
            await worker.start()
            await accepts_again(clients)
            assert clients.outcomes[REFUSED] == 0
    finally:
        await worker.stop()
        await server.stop()


async def test_client_that_waited_is_disconnected_and_not_refused(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, service_keys(tmp_path / FOLDER), holds_logins=True)
    await server.start()
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
        async with asyncio.timeout(HANDSHAKE_SECONDS_MAX + WAIT_SECONDS_MAX):
            assert await reader.read() == b""
        writer.close()
    finally:
        await server.stop()


async def test_key_is_refused_without_the_gate(tmp_path: Path) -> None:
    """The control: the clients of these tests notice a refusal."""
    store = KeyStore()
    server = EmbeddedServer(tmp_path, service_keys(tmp_path / FOLDER))
    await server.start()
    try:
        async with clients_of(server.port, store) as clients:
            await until(lambda: clients.outcomes[REFUSED] > 0)
    finally:
        await server.stop()
