"""A lease that ends before its agent receives the grant is a lost lease.

The SDK raises an exception that the program can catch, and cancels nothing of the program.
"""

import asyncio
from typing import TypeVar

import pytest

from quorate.client import Agent, LeaseLostError
from quorate.client.request_builder import Request
from quorate.client.serialization import Response
from quorate.client.transports.http import HttpTransport
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import ServiceProcess

T = TypeVar("T")

CONTACT = "user@example.com"
SHORT_MINUTES = 1 / 60


async def test_late_grant_raises_lease_lost_and_the_program_continues(
    service: ServiceProcess, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = HttpTransport.attempt
    ended = asyncio.Event()

    async def delayed(
        http: HttpTransport, request: Request[T], key: str, seconds: float, sent_at: float
    ) -> Response[T]:
        response = await attempt(http, request, key, seconds, sent_at)
        if request.name == "acquireLease":
            await ended.wait()
        return response

    monkeypatch.setattr(HttpTransport, "attempt", delayed)
    key = await tenant.issue("agent", "ann")
    async with Agent.connect(service.url, key.text, name="ann") as agent:

        async def wait_for_expiration() -> None:
            async for notification in agent.notifications():
                if notification.name == "lease_expired":
                    ended.set()
                    return

        listener = asyncio.create_task(wait_for_expiration())
        with pytest.raises(LeaseLostError):
            async with agent.lease(CONTACT, duration_minutes=SHORT_MINUTES):
                pytest.fail("the block of an ended lease must not run")
        await listener

        assert (await agent.heartbeat()).agent_id == agent.id
