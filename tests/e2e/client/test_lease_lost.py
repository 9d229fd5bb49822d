"""The loss of a lease cancels the block with a reason, before another agent holds the contact."""

# ruff: noqa: PT012 - the tests are about the exception of a whole block.

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from quorate.client import Client, ClientConfig, Lease, LeaseLostError, requests
from tests.e2e.client.agent_fleet import Fleet, time_limit
from tests.e2e.service.service_process import ServiceProcess

WINDOW_SECONDS = 3
SERVE = ("--heartbeat-window-seconds", str(WINDOW_SECONDS))
SHORT = 1 / 60  # A second, in minutes.
WITHOUT_HEARTBEATS = ClientConfig(heartbeat_seconds=1_000)
CONTACT = "user@example.com"


async def wait_forever() -> None:
    async with time_limit():
        await asyncio.Event().wait()


@asynccontextmanager
async def released_elsewhere(fleet: Fleet, lease: Lease) -> AsyncIterator[None]:
    """Release the lease in a task that is not cancelled with the block."""
    releasing = asyncio.create_task(fleet.tenant.release(lease.id))
    try:
        yield
    finally:
        await releasing


@contextmanager
def frozen(service: ServiceProcess) -> Iterator[None]:
    os.kill(service.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.pid, signal.SIGCONT)


async def test_lease_is_renewed_while_the_block_runs(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT, duration_minutes=SHORT) as it:
        first = it.expires_at
        await fleet.wait_for_events("LeaseRenewed", count=4)  # Longer than its duration.

        assert it.is_held
        assert it.expires_at > first
        assert [one["id"] for one in await fleet.tenant.leases()] == [it.id]
    assert await fleet.tenant.events("LeaseExpired") == []


async def test_lease_is_lost_when_another_process_releases_it(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError, match="released") as lost:
            async with agent.lease(CONTACT) as lease, released_elsewhere(fleet, lease):
                await wait_forever()
        assert lost.value.reason == "released"
        assert (lost.value.lease_id, lost.value.fence) == (lease.id, lease.fence)
        assert not lease.is_held

        async with agent.lease(CONTACT) as next_lease:
            assert next_lease.fence > lease.fence


async def test_lease_is_lost_when_heartbeats_stop(
    fleet: Fleet,
) -> None:
    async with fleet.agent("outreach", config=WITHOUT_HEARTBEATS) as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT):
                await wait_forever()
        assert lost.value.reason == "agent_inactive"
        assert not agent.is_active


async def test_revoked_lease_is_lost_although_the_local_clock_shows_it_as_held(
    fleet: Fleet,
) -> None:
    async with fleet.agent("outreach", config=WITHOUT_HEARTBEATS) as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT):
                agent._context.liveness.until = float("inf")  # Simulates a stopped clock.
                await wait_forever()
        assert lost.value.reason == "revoked"


async def test_lease_without_renewal_is_lost_at_its_deadline(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
                with frozen(fleet.service):
                    await wait_forever()
        assert lost.value.reason == "unreachable"
        assert lease.remaining_seconds == 0


async def test_long_lease_is_lost_when_heartbeats_fail(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT):
                with frozen(fleet.service):
                    await wait_forever()
        assert lost.value.reason == "agent_inactive"

        async with agent.lease(
            CONTACT
        ) as next_lease:  # The service has resumed, and the agent is active again.
            assert next_lease.is_held
            assert agent.is_active


async def test_resumed_process_sees_at_once_that_its_lease_is_lost(
    fleet: Fleet,
) -> None:
    """The event loop is blocked while the lease expires, as after SIGSTOP or a suspend."""
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
                before = lease.is_held
                with Client(fleet.service.url, fleet.tenant.text) as client:
                    while client.execute(requests.get_lease(lease.id)).status == "active":
                        pass  # Blocks the event loop.
                after = lease.is_held
                assert (before, after) == (True, False)
                await wait_forever()
        assert lost.value.reason in {"unreachable", "agent_inactive", "expired"}


async def test_block_without_await_raises_at_its_end(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError):
            async with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
                while lease.is_held:
                    pass
        await fleet.wait_for_events("LeaseReleased")  # The next agent does not have to wait.


async def test_request_send_raises_when_the_lease_is_lost(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError):
            async with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
                while lease.is_held:
                    pass
                await lease.request_send()
    assert await fleet.tenant.events("SendAuthorized") == []
    assert await fleet.tenant.events("SendBlocked") == []


async def test_renew_raises_the_reason_when_the_lease_has_ended(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT) as lease, released_elsewhere(fleet, lease):
                while True:
                    await lease.renew()
        assert lost.value.reason == "released"


async def test_renew_extends_the_lease(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT, duration_minutes=1) as lease:
        before = lease.expires_at
        renewed = await lease.renew(duration_minutes=10)

        assert renewed.expires_at == lease.expires_at
        assert (lease.expires_at - before).total_seconds() > 500


async def test_early_release_is_not_a_loss(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT) as lease:
        await lease.release()
        await lease.release()
        assert not lease.is_held
        assert await fleet.tenant.leases() == []
        await fleet.wait_for_events("LeaseReleased")
    assert len(await fleet.tenant.events("LeaseReleased")) == 1


async def test_exception_of_the_block_takes_precedence(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LookupError, match="mine"):
            async with agent.lease(CONTACT) as lease, released_elsewhere(fleet, lease):
                try:
                    await wait_forever()
                finally:
                    raise LookupError("mine")


async def test_lost_inner_lease_cancels_the_inner_block_only(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease("outer@example.com") as outer:
        with pytest.raises(LeaseLostError, match="inner"):
            async with (
                agent.lease("inner@example.com") as inner,
                released_elsewhere(fleet, inner),
            ):
                await wait_forever()
        assert outer.is_held


async def test_lost_outer_lease_cancels_the_inner_block_which_releases_its_lease(
    fleet: Fleet,
) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError, match="outer"):
            async with (
                agent.lease("outer@example.com") as outer,
                agent.lease("inner@example.com"),
                released_elsewhere(fleet, outer),
            ):
                await wait_forever()
        assert await fleet.tenant.leases() == []


async def test_reentrant_lease_that_is_held_twice_is_released_once(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT, reentrant=True) as one:
        async with agent.lease(CONTACT, reentrant=True) as other:
            assert (other.id, other.fence) == (one.id, one.fence)
        assert one.is_held
        assert len(await fleet.tenant.leases()) == 1


async def test_acquisition_during_a_release_keeps_the_lease(fleet: Fleet) -> None:
    """Both tasks use the same lease. The task that locks the contact first decides its fate."""
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT, reentrant=True) as one:
        other = agent.lease(CONTACT, reentrant=True)
        taking = asyncio.create_task(other.acquire())
        while not agent._context._contact_locks:  # noqa: ASYNC110 - a few iterations.
            await asyncio.sleep(0)
        await one.release()
        await taking

        assert (await other.request_send()).authorized
        await other.close()
        assert await fleet.tenant.leases() == []


async def test_block_in_another_task_is_cancelled_when_the_agent_disconnects(fleet: Fleet) -> None:
    inside = asyncio.Event()

    async with fleet.agent("outreach") as agent:

        async def work() -> None:
            async with agent.lease(CONTACT):
                inside.set()
                await wait_forever()

        task = asyncio.create_task(work())
        await inside.wait()
    with pytest.raises(LeaseLostError) as lost:
        await task
    assert lost.value.reason == "left"
    assert await fleet.tenant.leases() == []


async def test_lease_is_for_one_use(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        lease = agent.lease(CONTACT)
        with pytest.raises(RuntimeError, match="async with"):
            _ = lease.fence
        async with lease:
            pass
        with pytest.raises(RuntimeError, match="one use"):
            await lease.__aenter__()
