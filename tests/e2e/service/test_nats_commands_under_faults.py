"""Commands over NATS during floods, with clients that do not read, outages and revocations."""

import asyncio
import json
import os
import signal
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from nats.errors import Error as NatsError

from quorate.bus.subjects import inbox_prefix
from tests.e2e.service.http_clients import KEYS, Agent, Operator, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.service_process import STOP_SECONDS_MAX

# nats-py does not close the socket of a lost connection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SERVE = ()
CONTACT = "user@example.com"
FLOOD = 3_000
REVOKED_SECONDS_MAX = 1.0
LEASES, LISTS = 200, 400  # The responses exceed all socket buffers.
PAGES_BYTES_MIN = 20_000_000


# -- Overload ----------------------------------------------------------------


async def test_flood_gets_every_response_and_does_not_block_others(
    tenant: Tenant,
) -> None:
    noisy, quiet = [await NatsAgent.of(agent) for agent in await tenant.create_agents("ann", "bob")]
    inbox = await noisy.inbox()

    for number in range(FLOOD):
        await noisy.client.publish(noisy.subject("heartbeat"), b"", reply=inbox)
        if number % (FLOOD // 10) == 0:
            lease = await quiet.request_ok("acquireLease", contactEmail=f"{number}@example.com")
            assert lease["agentId"] == quiet.agent.id
    responses = await noisy.responses(inbox, FLOOD)

    assert len(responses) == FLOOD
    for response in responses:
        if response.status != 200:
            assert (response.status, response.code) == (503, "unavailable")
            assert response.headers["retry-after"] == "1"
            assert response.json()["status"] == 503


class NonReadingClient:
    """A client that sends requests and never reads the responses."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    async def connect(self, url: str) -> None:
        address = urlsplit(url)
        # A minimal buffer keeps all data in the server.
        self._reader, self._writer = await asyncio.open_connection(
            address.hostname, address.port, limit=1
        )
        inbox = inbox_prefix(self.agent.issued.principal)
        options = {"auth_token": self.agent.issued.text, "verbose": False, "headers": True}
        self._writer.write(b"CONNECT %b\r\n" % json.dumps(options).encode())
        self._writer.write(b"SUB %b.> 1\r\n" % inbox.encode())
        tenant, agent_id = self.agent.issued.tenant, self.agent.id
        subject = f"quorate.{tenant}.cmd.{agent_id}.listLeases {inbox}.x"
        self._request = b'PUB %b 14\r\n{"limit":1000}\r\n' % subject.encode()

    async def request(self) -> None:
        """Send a request, unless nats-server has already disconnected the slow client."""
        with suppress(ConnectionError):
            self._writer.write(self._request)
            await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


async def test_client_that_never_reads_does_not_block_others(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    nats_agent, reader = await NatsAgent.of(bob), NonReadingClient(ann)
    for number in range(LEASES):
        await nats_agent.request_ok("acquireLease", contactEmail=f"{number}@example.com")
    page = await nats_agent.request("listLeases", {"limit": 1_000})
    assert len(page.content) * LISTS > PAGES_BYTES_MIN
    await reader.connect(tenant.connection.service.nats_url)
    try:
        for number in range(LISTS):
            await reader.request()
            if number % 20 == 0:
                assert (await nats_agent.request_ok("heartbeat"))["ok"] is True

        for _ in range(20):
            assert (await nats_agent.request_ok("heartbeat"))["ok"] is True
        assert len(await tenant.leases(limit="1000")) == LEASES
    finally:
        await reader.close()


# -- Outages -----------------------------------------------------------------


async def test_commands_resume_after_nats_is_killed_and_a_retry_is_replayed(
    tenant: Tenant,
) -> None:
    agent = await tenant.create_agent("ann")
    ann = await NatsAgent.of(agent)
    service = tenant.connection.service

    for number in range(3):
        fields = {"contactEmail": f"{number}@example.com", "idempotencyKey": f"lease {number}"}
        first = await ann.request("acquireLease", fields)
        (pid,) = service.nats_servers()
        os.kill(pid, signal.SIGKILL)

        again = await retry(ann, "acquireLease", fields)

        assert again == first.content
    assert len(await tenant.events("LeaseAcquired")) == 3


async def retry(nats_agent: NatsAgent, operation: str, fields: dict[str, str]) -> bytes:
    """Repeat a command until it gets a response, and return the response."""
    found: list[bytes] = []

    async def has_response() -> bool:
        with suppress(NatsError):
            response = await nats_agent.request(operation, fields, seconds=1)
            assert response.status == 200
            found.append(response.content)
        return bool(found)

    await wait_until(has_response)
    return found[0]


async def test_restarted_service_replays_its_responses(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    agent = await tenant.create_agent("ann")
    fields = {"contactEmail": CONTACT, "idempotencyKey": "once"}
    first = await (await NatsAgent.of(agent)).request("acquireLease", fields)

    await operator.restart()

    again = await (await NatsAgent.of(agent)).request("acquireLease", fields)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_service_stops_in_time_and_responds_to_waiting_commands(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    ann = await NatsAgent.of(await tenant.create_agent("ann"))
    head = (await ann.request_ok("listNotifications"))["next"]
    waiting = asyncio.create_task(ann.request("listNotifications", {"after": head, "wait": 30}))
    assert (await ann.request_ok("heartbeat"))[
        "ok"
    ] is True  # So the service has received the long poll before.

    took = await asyncio.to_thread(operator.service.stop)

    assert took < STOP_SECONDS_MAX
    response = await waiting
    assert response.status == 200, response
    assert response.json()["notifications"] == []
    operator.service.start()
    await operator.connection.reconnect()


# -- Keys --------------------------------------------------------------------


async def test_revoked_key_cannot_send_commands_after_a_second(tenant: Tenant) -> None:
    agent = await tenant.create_agent("ann")
    listener = await agent.listen()
    ann = NatsAgent(agent, listener)
    answered_at = 0.0

    async def send_heartbeats() -> None:
        nonlocal answered_at
        while True:
            with suppress(NatsError):
                await ann.request("heartbeat", seconds=REVOKED_SECONDS_MAX)
                answered_at = time.monotonic()
            await asyncio.sleep(0)

    busy = asyncio.create_task(send_heartbeats())
    await wait_until(lambda: answered_at > 0)

    await tenant.request_ok("DELETE", f"{KEYS}/{agent.issued.id}")
    revoked_at = time.monotonic()

    async with asyncio.timeout(REVOKED_SECONDS_MAX):
        await listener.lost.wait()
    busy.cancel()
    assert answered_at - revoked_at < REVOKED_SECONDS_MAX
    with pytest.raises(NatsError, match="Authorization Violation"):
        await Listener.connected(tenant.connection.service.nats_url, agent.issued.text)


async def test_other_key_of_the_same_agent_continues_to_work(tenant: Tenant) -> None:
    agent = await tenant.create_agent("ann")
    renewed = Agent(tenant.operator, await tenant.issue("agent", "ann"))
    old, new = await agent.listen(), await NatsAgent.of(renewed)

    await tenant.request_ok("DELETE", f"{KEYS}/{agent.issued.id}")

    await wait_until(old.lost.is_set)
    assert (await new.request_ok("heartbeat"))["agentId"] == agent.id
    assert not new.listener.lost.is_set()
