"""A lease was granted, and is over before its agent hears of the grant.

That is a lost lease like any other: the program is told so by an exception that it can catch, and
nothing of it is cancelled.
"""

import asyncio
from typing import TypeVar

import pytest

from quorate.client import Agent, LeaseLost
from quorate.client.requests import Ask
from quorate.client.serialization import Answered
from quorate.client.transports.http import OverHttp
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import Running

T = TypeVar("T")

CONTACT = "user@example.com"
BRIEFLY_MINUTES = 1 / 60


async def test_it_is_lost_and_the_program_goes_on(
    service: Running, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = OverHttp.attempt
    told = asyncio.Event()

    async def slow(
        http: OverHttp, ask: Ask[T], key: str, seconds: float, asked_at: float
    ) -> Answered[T]:
        answered = await attempt(http, ask, key, seconds, asked_at)
        if ask.name == "acquireLease":
            await told.wait()
        return answered

    monkeypatch.setattr(OverHttp, "attempt", slow)
    key = await tenant.issue("agent", "ann")
    async with Agent.connect(service.url, key.text, name="ann") as agent:

        async def hear_of_its_end() -> None:
            async for notification in agent.notifications():
                if notification.name == "lease_expired":
                    told.set()
                    return

        hearing = asyncio.create_task(hear_of_its_end())
        with pytest.raises(LeaseLost):
            async with agent.lease(CONTACT, duration_minutes=BRIEFLY_MINUTES):
                pytest.fail("what is over was entered")
        await hearing

        assert (await agent.heartbeat()).agent_id == agent.id
