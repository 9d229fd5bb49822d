"""Commands that an agent sends over NATS without waiting are executed in their order."""

import json

from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until

SERVE = ()
IN_A_ROW = 50


async def test_first_commands_of_an_agent_are_executed_in_their_order(tenant: Tenant) -> None:
    """They arrive before the service has looked up the name of the agent."""
    ann = await NatsAgent.of(await tenant.create_agent("ann"))
    contacts = [f"user{number:03}@example.com" for number in range(IN_A_ROW)]
    for one in contacts:
        message, inbox = json.dumps({"contactEmail": one}).encode(), ann.client.new_inbox()
        await ann.client.publish(ann.subject("acquireLease"), message, reply=inbox)

    async def granted() -> list[str]:
        events = [one for one in await tenant.events() if one["type"] == "LeaseAcquired"]
        return [event["data"]["contactEmail"] for event in events]

    async def are_all_granted() -> bool:
        return len(await granted()) == IN_A_ROW

    await wait_until(are_all_granted)
    assert await granted() == contacts
