"""A response is lost, and the right that it granted ends before the retry: no caller gets it."""

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest

from quorate.client import (
    Agent,
    AgentRef,
    AsyncClient,
    Client,
    LeaseConflictError,
    LeaseEndedError,
)
from quorate.client import blocking as blocking_sdk
from quorate.contracts.coordination.leases import ACQUIRE_LEASE
from quorate.contracts.coordination.send_gate import REQUEST_SEND
from tests.e2e.client.lossy_proxy import lossy_proxy
from tests.e2e.service.service_process import ServiceProcess

CONTACT = "user@example.com"
CONFLICT = 3
_NUMBERS = itertools.count(1)


class Scene:
    """A tenant with an agent and a rival."""

    def __init__(self, service: ServiceProcess, client: Client) -> None:
        self.service = service
        self.client = client
        self.rival = AgentRef(id=client.agents.register("rival").id)
        key = client.keys.issue("agent", "outreach").key
        assert key is not None
        self.key = key
        self.agent = AgentRef(id=client.agents.register("outreach").id)

    def rival_follows(self) -> None:
        """Let the lease end, and the rival acquire the contact and send."""
        (held,) = self.client.leases.list()
        self.client.leases.release(held.id)
        lease = self.client.leases.acquire(self.rival, CONTACT)
        assert self.client.send_gate.request(self.rival, CONTACT, fence=lease.fence).authorized

    def acquire(self) -> int:
        return self.client.leases.acquire(self.agent, CONTACT).fence


@pytest.fixture
def scene(service: ServiceProcess) -> Iterator[Scene]:
    with Client(service.url, service.admin_key) as admin:
        name = f"lost-{next(_NUMBERS)}"
        admin.tenants.create(name)
        key = admin.keys.issue("tenant", tenant_id=name).key
        assert key is not None
    with Client(service.url, key) as client:
        yield Scene(service, client)


# -- Ways to ask ---------------------------------------------------------------------


def client_sends(url: str, key: str, fence: int) -> bool:
    with Client(url, key) as client:
        return client.send_gate.request(AgentRef(), CONTACT, fence=fence).authorized


def async_client_sends(url: str, key: str, fence: int) -> bool:
    async def send() -> bool:
        async with AsyncClient(url, key) as client:
            return (await client.send_gate.request(AgentRef(), CONTACT, fence=fence)).authorized

    return asyncio.run(send())


def agent_sends(url: str, key: str, fence: int) -> bool:
    async def send() -> bool:
        async with Agent.connect(url, key, nats_url="") as agent:
            return (await agent.request_send(CONTACT, fence=fence)).authorized

    return asyncio.run(send())


def blocking_agent_sends(url: str, key: str, fence: int) -> bool:
    with blocking_sdk.Agent.connect(url, key, nats_url="") as agent:
        return agent.request_send(CONTACT, fence=fence).authorized


def command_line(url: str, key: str, *words: str) -> subprocess.CompletedProcess[str]:
    variables: Mapping[str, str] = {"QUORATE_URL": url, "QUORATE_API_KEY": key}
    return subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", "agents", *words, "--contact-email", CONTACT],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def command_line_sends(url: str, key: str, fence: int) -> bool:
    done = command_line(url, key, "request-send", "--fence", str(fence))
    assert done.returncode in {0, CONFLICT}, done.stderr
    return done.returncode == 0


SENDS = [
    client_sends,
    async_client_sends,
    agent_sends,
    blocking_agent_sends,
    command_line_sends,
]


@pytest.mark.parametrize("send", SENDS)
def test_authorization_that_is_over_becomes_a_block(
    scene: Scene, send: Callable[[str, str, int], bool]
) -> None:
    fence = scene.acquire()
    with lossy_proxy(scene.service.url, REQUEST_SEND.path, scene.rival_follows) as proxy:
        assert not send(proxy.url, scene.key, fence)

    assert proxy.losses == 1
    outcomes = [one.type for one in scene.client.events() if one.type.startswith("Send")]
    assert outcomes == ["SendAuthorized", "SendAuthorized", "SendBlocked"]


def test_client_is_not_granted_a_lease_that_is_over(scene: Scene) -> None:
    with (
        lossy_proxy(scene.service.url, ACQUIRE_LEASE.path, scene.rival_follows) as proxy,
        Client(proxy.url, scene.key) as client,
        pytest.raises(LeaseEndedError) as ended,
    ):
        client.leases.acquire(AgentRef(), CONTACT)

    assert ended.value.details["leaseStatus"] == "released"


@pytest.mark.parametrize("is_blocking", [True, False])
def test_agent_acquires_again_instead_of_a_lease_that_is_over(
    scene: Scene, is_blocking: bool
) -> None:
    async def enter() -> None:
        async with (
            Agent.connect(proxy.url, scene.key, nats_url="") as agent,
            agent.lease(CONTACT),
        ):
            pass

    def enter_blocking() -> None:
        with (
            blocking_sdk.Agent.connect(proxy.url, scene.key, nats_url="") as agent,
            agent.lease(CONTACT),
        ):
            pass

    def run() -> None:
        if is_blocking:
            enter_blocking()
        else:
            asyncio.run(enter())

    with (
        lossy_proxy(scene.service.url, ACQUIRE_LEASE.path, scene.rival_follows) as proxy,
        pytest.raises(LeaseConflictError) as rejection,
    ):
        run()

    holder = rejection.value.holder
    assert holder is not None
    assert holder.agent_name == "rival"


def test_command_line_does_not_report_a_lease_that_is_over(scene: Scene) -> None:
    with lossy_proxy(scene.service.url, ACQUIRE_LEASE.path, scene.rival_follows) as proxy:
        done = command_line(proxy.url, scene.key, "lease", "--quiet")

    assert done.returncode == CONFLICT
    assert "lease_ended" in done.stdout
    assert "The lease has ended" in done.stderr


def test_command_line_reports_a_lease_that_is_valid(scene: Scene) -> None:
    with lossy_proxy(scene.service.url, ACQUIRE_LEASE.path, lambda: None) as proxy:
        done = command_line(proxy.url, scene.key, "lease", "--quiet")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == scene.client.leases.list()[0].id
    assert [one.type for one in scene.client.events()].count("LeaseAcquired") == 1


def test_request_is_not_repeated_without_a_loss(scene: Scene) -> None:
    """Control: the proxy alone changes nothing."""
    fence = scene.acquire()
    with lossy_proxy(scene.service.url, "/never", lambda: None) as proxy:
        assert client_sends(proxy.url, scene.key, fence)
