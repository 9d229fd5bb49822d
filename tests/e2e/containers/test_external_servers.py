"""Two replicas on external servers: secrets created once, `quorate db upgrade`, PostgreSQL, NATS.

Each test runs with local processes and, where Docker is available, with containers.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.client import Agent, LeaseConflictError
from quorate.client.results import Notification
from tests.e2e.containers.deployment import Deployment, run_cli
from tests.e2e.containers.docker_engine import require_docker_engine
from tests.e2e.containers.load import Load
from tests.e2e.containers.proxy import Proxy
from tests.e2e.containers.servers import ContainerServers, LocalServers
from tests.integration.api.raw_clients import RawConnection, head

CONTACT = "user@example.com"
ROUNDS = 20
MALFORMED_REQUESTS = 4
AGENTS = 4
NOTIFICATION_SECONDS_MAX = 20.0


@pytest.fixture(
    scope="module", params=[LocalServers, pytest.param(ContainerServers, marks=pytest.mark.docker)]
)
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    if request.param is ContainerServers:
        require_docker_engine()
    deployment = Deployment(tmp_path_factory.mktemp("deployment"), request.param)
    try:
        yield deployment.start()
    finally:
        deployment.close()


async def test_conflict_at_one_replica_notifies_an_agent_of_the_other(
    deployment: Deployment,
) -> None:
    one, two = deployment.urls
    key, nats = deployment.api_key, deployment.servers.nats_url
    async with (
        Agent.connect(one, key, name="outreach-agent", nats_url="") as holder,
        Agent.connect(two, key, name="retention-agent", nats_url=nats) as rival,
    ):
        async with holder.lease(CONTACT):
            with pytest.raises(LeaseConflictError):
                async with rival.lease(CONTACT):
                    pass
        received = await notifications(rival, until="lease_available")
    assert [notification.name for notification in received] == ["lease_conflict", "lease_available"]


async def notifications(agent: Agent, *, until: str) -> list[Notification]:
    """Return the lease notifications of an agent, up to the first with this name."""
    received: list[Notification] = []
    async with asyncio.timeout(NOTIFICATION_SECONDS_MAX):
        async for notification in agent.notifications():
            if notification.name.startswith("lease_"):
                received.append(notification)
            if notification.name == until:
                break
    return received


async def test_no_command_fails_when_database_and_nats_restart(deployment: Deployment) -> None:
    load = Load()
    async with load.run(
        AGENTS, deployment.urls[0], deployment.api_key, deployment.servers.nats_url
    ):
        await asyncio.to_thread(deployment.servers.restart_nats)
        await load.wait_for_rounds(ROUNDS)
        await asyncio.to_thread(deployment.servers.restart_database)
        await load.wait_for_rounds(ROUNDS)
    assert load.failures == []


async def test_no_command_fails_behind_the_proxy_when_one_replica_after_the_other_is_killed(
    deployment: Deployment, tmp_path: Path
) -> None:
    load = Load()
    with Proxy(tmp_path, deployment.ports) as proxy:
        async with load.run(AGENTS, proxy.url, deployment.api_key, deployment.servers.nats_url):
            for replica in deployment.replicas:
                await asyncio.to_thread(replica.kill)
                await load.wait_for_rounds(ROUNDS)
                await asyncio.to_thread(replica.start)
                await load.wait_for_rounds(ROUNDS)
    assert load.failures == []


def test_proxy_serves_clients_after_malformed_unauthenticated_requests(
    deployment: Deployment, tmp_path: Path
) -> None:
    malformed = head("POST", "/v1/keys", Transfer_Encoding="chunked") + b"-1\r\n"
    with Proxy(tmp_path, deployment.ports) as proxy:
        rejected = 0
        # A replica may answer before it reads the malformed part.
        while rejected < MALFORMED_REQUESTS:
            with RawConnection(proxy.port) as wire:
                rejected += wire.send(malformed).read_response_head().status in (502, 503)
        with RawConnection(proxy.port) as wire:
            assert wire.send(head("POST", "/v1/keys")).read_response().code == "unauthorized"


def test_secrets_and_upgrade_are_idempotent(deployment: Deployment) -> None:
    before = {path.name: path.read_bytes() for path in deployment.secrets.iterdir()}

    run_cli("secrets", str(deployment.secrets))
    run_cli("db", "upgrade", "--database-url", deployment.servers.database_url)
    deployment.replicas[1].restart()

    assert {path.name: path.read_bytes() for path in deployment.secrets.iterdir()} == before
    checked = run_cli("db", "check", "--database-url", deployment.servers.database_url, "--no-json")
    assert "No upgrade needed" in checked
