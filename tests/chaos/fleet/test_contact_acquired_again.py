"""An agent gives a contact back, and takes it again before that is answered.

The service answers a holder who asks again with the lease it has. A release that is still on its
way would end that very lease, and let others in while the agent relies on it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from quorate.client import Agent, Lease, Settings
from quorate.client.requests import Ask
from quorate.client.serialization import Answered
from quorate.client.transports.http import OverHttp
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.nats_listener import until
from tests.e2e.service.service_process import Running

T = TypeVar("T")

CONTACT = "user@example.com"
LEAVE_SECONDS = 0.01  # Nobody waits for the release, as when the service is away.
TIME_ENOUGH_SECONDS = 1.0  # To be granted, wrongly, what is still its own.


class Road:
    """The way to the service. Releases wait on it until they are let pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting = 0
        self.passing = asyncio.Event()
        self.arrived = asyncio.Event()
        attempt = OverHttp.attempt

        async def slow(
            http: OverHttp, ask: Ask[T], key: str, seconds: float, asked_at: float
        ) -> Answered[T]:
            if ask.name != "releaseLease":
                return await attempt(http, ask, key, seconds, asked_at)
            self.waiting += 1
            return await asyncio.shield(arrives(http, ask, key, seconds, asked_at))

        def arrives(*sent: Any) -> "asyncio.Future[Answered[Any]]":  # noqa: ANN401 - an attempt.
            """Also when nobody waits for it any more."""
            self.sent = asyncio.ensure_future(arriving(*sent))
            return self.sent

        async def arriving(*sent: Any) -> Answered[Any]:  # noqa: ANN401 - an attempt.
            await self.passing.wait()
            answered = await attempt(*sent)
            self.arrived.set()
            return answered

        monkeypatch.setattr(OverHttp, "attempt", slow)


async def by_leaving_the_block(_lease: Lease, _road: Road) -> None:
    pass


async def by_hand(lease: Lease, road: Road) -> None:
    """Whoever does so does not wait for the answer."""
    releasing = asyncio.create_task(lease.release())
    await until(lambda: road.waiting == 1)
    releasing.cancel()
    await asyncio.wait({releasing})


@pytest.mark.parametrize("leave", [by_leaving_the_block, by_hand])
async def test_a_release_that_comes_late_does_not_end_what_was_granted_since(
    leave: Callable[[Lease, Road], Awaitable[None]],
    service: Running,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    road = Road(monkeypatch)
    key = await tenant.issue("agent", "ann")
    settings = Settings(leave_seconds=LEAVE_SECONDS)
    async with Agent.connect(service.url, key.text, name="ann", settings=settings) as agent:

        async def again() -> int:
            async with agent.lease(CONTACT) as second:
                await road.arrived.wait()
                assert (await second.request_send()).authorized
                return second.fence

        async with agent.lease(CONTACT) as first:
            await leave(first, road)
        await until(lambda: road.waiting == 1)
        taking = asyncio.create_task(again())
        await asyncio.wait({taking}, timeout=TIME_ENOUGH_SECONDS)
        road.passing.set()

        assert await taking > first.fence
