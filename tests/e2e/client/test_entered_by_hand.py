"""An agent that is entered by hand stays connected, although nothing holds its context manager."""

import asyncio
import gc

from quorate.client import Agent, blocking, held_contexts
from tests.e2e.client.agent_fleet import Fleet
from tests.e2e.service.service_process import ServiceProcess


async def test_agent_without_a_reference_to_its_context_manager_stays(
    service: ServiceProcess, fleet: Fleet
) -> None:
    key, nats_url = fleet.tenant.text, fleet.nats_url
    agent = await Agent.connect(service.url, key, name="notebook", nats_url=nats_url).__aenter__()
    gc.collect()
    await asyncio.sleep(0)  # Collected generators would be closed here.

    assert agent.is_active
    async with agent.lease("user@example.com") as lease:
        assert (await lease.request_send()).authorized
    assert (await fleet.tenant.agent(agent.id))["status"] == "active"
    (held,) = held_contexts._entered
    await held.__aexit__(None, None, None)  # type: ignore[attr-defined]
    assert held_contexts._entered == set()


async def test_agent_leaves_when_its_context_manager_is_left(fleet: Fleet) -> None:
    connection = fleet.agent("notebook")
    agent = await connection.__aenter__()

    await connection.__aexit__(None, None, None)

    assert (await fleet.tenant.agent(agent.id))["status"] == "deregistered"


def test_blocking_agent_stays(service: ServiceProcess, fleet: Fleet) -> None:
    agent = blocking.Agent.connect(service.url, fleet.tenant.text, name="notebook").__enter__()
    gc.collect()

    assert agent.is_active
    assert agent.request_send("user@example.com").authorized
    outer = next(one for one in held_contexts._entered if hasattr(one, "__exit__"))
    outer.__exit__(None, None, None)
    assert held_contexts._entered == set()
