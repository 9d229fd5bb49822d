"""A late release must not end a lease that its agent acquired again.

The service answers a repeated acquisition by the holder with the existing lease. A release still in
flight would end that lease, and let other agents acquire the contact while this agent relies on it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from quorate.client import Agent, ClientConfig, Lease
from quorate.client.request_builder import Request
from quorate.client.serialization import Response
from quorate.client.transports.http import HttpTransport
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess

T = TypeVar("T")

CONTACT = "user@example.com"
LEAVE_SECONDS = 0.01  # The agent does not wait for the release.
GRANT_SECONDS = 1.0  # Time for a wrong early grant.


class DelayedTransport:
    """Delays releases on the way to the service until ``passing`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting = 0
        self.passing = asyncio.Event()
        self.arrived = asyncio.Event()
        attempt = HttpTransport.attempt

        async def delayed(
            http: HttpTransport, request: Request[T], key: str, seconds: float, sent_at: float
        ) -> Response[T]:
            if request.name != "releaseLease":
                return await attempt(http, request, key, seconds, sent_at)
            self.waiting += 1
            return await asyncio.shield(send_later(http, request, key, seconds, sent_at))

        def send_later(*sent: Any) -> "asyncio.Future[Response[Any]]":  # noqa: ANN401 - an attempt.
            """Send the release even if the caller was cancelled."""
            self.sent = asyncio.ensure_future(send(*sent))
            return self.sent

        async def send(*sent: Any) -> Response[Any]:  # noqa: ANN401 - an attempt.
            await self.passing.wait()
            response = await attempt(*sent)
            self.arrived.set()
            return response

        monkeypatch.setattr(HttpTransport, "attempt", delayed)


async def by_leaving_the_block(_lease: Lease, _transport: DelayedTransport) -> None:
    pass


async def explicitly(lease: Lease, transport: DelayedTransport) -> None:
    """Release the lease explicitly, and cancel the wait for the response."""
    releasing = asyncio.create_task(lease.release())
    await wait_until(lambda: transport.waiting == 1)
    releasing.cancel()
    await asyncio.wait({releasing})


@pytest.mark.parametrize("leave", [by_leaving_the_block, explicitly])
async def test_late_release_does_not_end_a_lease_acquired_again(
    leave: Callable[[Lease, DelayedTransport], Awaitable[None]],
    service: ServiceProcess,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transport = DelayedTransport(monkeypatch)
    key = await tenant.issue("agent", "ann")
    config = ClientConfig(shutdown_timeout_seconds=LEAVE_SECONDS)
    async with Agent.connect(service.url, key.text, name="ann", config=config) as agent:

        async def acquire_again() -> int:
            async with agent.lease(CONTACT) as second:
                await transport.arrived.wait()
                assert (await second.request_send()).authorized
                return second.fence

        async with agent.lease(CONTACT) as first:
            await leave(first, transport)
        await wait_until(lambda: transport.waiting == 1)
        acquiring = asyncio.create_task(acquire_again())
        await asyncio.wait({acquiring}, timeout=GRANT_SECONDS)
        transport.passing.set()

        assert await acquiring > first.fence
