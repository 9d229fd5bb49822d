"""When the leader is killed or hangs, another replica is elected and takes over its tasks."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.e2e.service.http_clients import Agent, Operator, Tenant, connect_operator
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.replicas import Replica, Replicas
from tests.e2e.service.service_process import Json
from tests.support.postgres import PostgresServer

TIMEOUT_SECONDS = "1"
FAILOVER_SECONDS_MAX = 5.0
COMMANDS = 10
CONTACT = "user@example.com"


@pytest.fixture(scope="module")
def replicas(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("replicas")
    timeout = ("--heartbeat-window-seconds", TIMEOUT_SECONDS)
    both = Replicas(folder, postgres.database_url(), 2, *timeout)
    try:
        both.start()
        yield both
    finally:
        both.end()


async def leader_and_other(replicas: Replicas) -> tuple[Replica, Replica]:
    await wait_until(lambda: replicas.find_leader() is not None)
    (leader,) = [replica for replica in replicas.all if replica.is_leader()]
    (other,) = [replica for replica in replicas.all if replica is not leader]
    return leader, other


async def create_agents(operator: Operator) -> tuple[Tenant, Agent, Listener]:
    """Create an agent that times out, and a listener of another agent."""
    tenant = await operator.create_tenant()
    ann, bob = await tenant.create_agents("ann", "bob")
    return tenant, ann, await bob.subscribe_to_all()


def timeouts_of(agent: Agent, listener: Listener) -> list[Json]:
    timeouts = listener.notifications("agent_lapsed")
    return [one for one in timeouts if one["data"]["agentId"] == agent.id]


async def test_new_leader_is_elected_when_the_leader_is_killed(replicas: Replicas) -> None:
    leader, other = await leader_and_other(replicas)
    async with connect_operator(other) as operator:
        _, ann, listener = await create_agents(operator)
        nats_agent = await NatsAgent.of(ann)
        began = time.monotonic()
        await asyncio.to_thread(leader.kill)
        await wait_until(other.is_leader)
        took = time.monotonic() - began

        await wait_until(lambda: len(timeouts_of(ann, listener)) == 1)  # Recorded and published.
        for _ in range(COMMANDS):
            await nats_agent.request_ok("heartbeat")
    assert took <= FAILOVER_SECONDS_MAX
    await asyncio.to_thread(leader.start)


async def test_new_leader_is_elected_when_the_leader_hangs(replicas: Replicas) -> None:
    leader, other = await leader_and_other(replicas)
    async with connect_operator(other) as operator:
        tenant, ann, listener = await create_agents(operator)
        began = time.monotonic()
        leader.pause()
        try:
            await wait_until(other.is_leader)
            took = time.monotonic() - began
            await wait_until(lambda: len(timeouts_of(ann, listener)) >= 1)
            await tenant.register("while-it-hung")
        finally:
            leader.resume()
        assert took <= FAILOVER_SECONDS_MAX

        async with connect_operator(leader) as late:
            again = Agent(late, ann.issued)
            await again.heartbeat(ann.id)
            await again.lease(ann.id, CONTACT)
            await wait_until(lambda: not leader.is_leader())
        assert other.is_leader()
        assert [event["sequence"] for event in await tenant.events()] == list(
            range(1, await tenant.head() + 1)
        )
