"""NATS over TLS between servers, for the service and for agents, with no fallback to plain text.

nats-py uses TLS only if the server asks for it. An attacker between them can remove that request
and would receive the key; these tests try it.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from quorate.bus import connection
from quorate.bus.auth.jwt import NatsKey
from quorate.bus.connection import ConnectionLost
from tests.integration.bus.cluster import SERVERS
from tests.integration.bus.stage import ANN, TENANT, ids, until
from tests.integration.bus.test_nats_cluster import ClusterStage, agents_link, started
from tests.support.certificates import Certificates

INTRODUCTION = {"server_id": "between", "version": "2.14.0", "max_payload": 1024, "headers": True}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    """Let all clients in this process trust the test authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    return certificates


@pytest.fixture
async def stage(tmp_path: Path, trusted: Certificates) -> AsyncIterator[ClusterStage]:
    async with started(ClusterStage(tmp_path, tls=trusted.nats)) as stage:
        yield stage


async def test_service_servers_and_agents_use_tls(
    stage: ClusterStage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = stage.keys.issue("agent", TENANT, ANN)
    async with agents_link(stage.cluster.url, key.key_id) as link:
        await stage.listeners(key)
        assert link.session is not None
        received = await link.session.receive()
        assert received is not None
        assert orjson.loads(received)["id"] in ids(stage.log.rows)
    await until(lambda: stage.stream_holds(stage.log.rows))
    for number in range(SERVERS):
        page = await stage.cluster.monitor(number, "varz")
        assert page["cluster"]["tls_required"] is True
        assert page["cluster"]["tls_verify"] is True

    # A client without the authority, or without TLS, cannot connect.
    nobodys = tmp_path / "nobody.pem"
    nobodys.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(nobodys))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nothing"))
    async with agents_link(stage.cluster.url, key.key_id) as link:
        assert link.session is None


class Between:
    """An attacker in the network path that omits the TLS request and records the client's bytes."""

    def __init__(self) -> None:
        self.received = b""
        self.left = asyncio.Event()
        self.url = ""

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO " + orjson.dumps({**INTRODUCTION, "auth_required": True}) + b"\r\n")
        self.received += await reader.read()
        self.left.set()
        writer.close()


@pytest.fixture
async def between() -> AsyncIterator[Between]:
    between = Between()
    server = await asyncio.start_server(between.meet, "127.0.0.1", 0)
    async with server:
        between.url = f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield between


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS_MAX", 2)


async def test_agent_key_is_not_sent_without_tls(between: Between) -> None:
    async with agents_link(between.url, "qk_secret") as link:
        await between.left.wait()
        assert link.session is None

    assert between.received == b""


async def test_service_does_not_log_in_without_tls(between: Between, impatient: None) -> None:
    del impatient
    with pytest.raises(ConnectionLost, match="does not offer TLS"):
        await connection.connect(between.url, NatsKey.create("user"), "test")
    await between.left.wait()

    assert between.received == b""
