"""A block whose lease is lost is cancelled and told why, before anyone else holds the contact."""

# ruff: noqa: PT012 - what a whole block raises is the point.

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from quorate.client import Client, ClientConfig, Lease, LeaseLostError, requests
from tests.e2e.client.agent_fleet import Fleet, within
from tests.e2e.service.service_process import Running

WINDOW_SECONDS = 3
SERVE = ("--heartbeat-window-seconds", str(WINDOW_SECONDS))
SHORT = 1 / 60  # A second, in minutes.
SILENT = ClientConfig(heartbeat_seconds=1_000)
CONTACT = "user@example.com"


async def for_ever() -> None:
    async with within():
        await asyncio.Event().wait()


@asynccontextmanager
async def given_back_elsewhere(fleet: Fleet, lease: Lease) -> AsyncIterator[None]:
    """By a task that is not cancelled together with the block."""
    releasing = asyncio.create_task(fleet.tenant.release(lease.id))
    try:
        yield
    finally:
        await releasing


@contextmanager
def frozen(service: Running) -> Iterator[None]:
    os.kill(service.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.pid, signal.SIGCONT)


async def test_a_lease_is_renewed_for_as_long_as_the_block_runs(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT, duration_minutes=SHORT) as it:
        first = it.expires_at
        await fleet.log_has("LeaseRenewed", count=4)  # Longer than its time.

        assert it.is_held
        assert it.expires_at > first
        assert [one["id"] for one in await fleet.tenant.leases()] == [it.id]
    assert await fleet.tenant.events("LeaseExpired") == []


async def test_a_lease_that_another_process_gave_back_is_lost(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError, match="released") as lost:
            async with agent.lease(CONTACT) as lease, given_back_elsewhere(fleet, lease):
                await for_ever()
        assert lost.value.reason == "released"
        assert (lost.value.lease_id, lost.value.fence) == (lease.id, lease.fence)
        assert not lease.is_held

        async with agent.lease(CONTACT) as anew:
            assert anew.fence > lease.fence


async def test_an_agent_whose_heartbeats_stop_believes_in_its_lease_no_longer(
    fleet: Fleet,
) -> None:
    async with fleet.agent("outreach", config=SILENT) as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT):
                await for_ever()
        assert lost.value.reason == "agent_inactive"
        assert not agent.is_active


async def test_what_the_service_revokes_is_lost_although_the_own_clock_has_not_noticed(
    fleet: Fleet,
) -> None:
    async with fleet.agent("outreach", config=SILENT) as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT):
                agent._context.liveness.until = float("inf")  # A clock that stands still.
                await for_ever()
        assert lost.value.reason == "revoked"


async def test_a_lease_that_cannot_be_renewed_is_lost_at_its_deadline(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
                with frozen(fleet.service):
                    await for_ever()
        assert lost.value.reason == "unreachable"
        assert lease.remaining_seconds == 0


async def test_a_long_lease_is_lost_when_no_heartbeat_gets_through(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT):
                with frozen(fleet.service):
                    await for_ever()
        assert lost.value.reason == "agent_inactive"

        async with agent.lease(CONTACT) as anew:  # The service is back, and so is the agent.
            assert anew.is_held
            assert agent.is_active


async def test_a_process_that_was_stopped_sees_at_once_that_its_lease_is_lost(
    fleet: Fleet,
) -> None:
    """Nothing of ours runs while the lease expires: as after SIGSTOP, or a suspended laptop."""
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
                before = lease.is_held
                with Client(fleet.service.url, fleet.tenant.text) as caller:
                    while caller.execute(requests.get_lease(lease.id)).status == "active":
                        pass  # The event loop stands still.
                after = lease.is_held
                assert (before, after) == (True, False)
                await for_ever()
        assert lost.value.reason in {"unreachable", "agent_inactive", "expired"}


async def test_a_block_that_ends_without_awaiting_is_told_too(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError):
            async with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
                while lease.is_held:
                    pass
        await fleet.log_has("LeaseReleased")  # Whoever comes next need not wait.


async def test_nothing_is_sent_under_a_lease_that_is_lost(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError):
            async with agent.lease(CONTACT, duration_minutes=SHORT) as lease:
                while lease.is_held:
                    pass
                await lease.request_send()
    assert await fleet.tenant.events("SendAuthorized") == []
    assert await fleet.tenant.events("SendBlocked") == []


async def test_renewing_what_has_ended_tells_why(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError) as lost:
            async with agent.lease(CONTACT) as lease, given_back_elsewhere(fleet, lease):
                while True:
                    await lease.renew()
        assert lost.value.reason == "released"


async def test_a_lease_can_be_renewed_for_longer_by_hand(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT, duration_minutes=1) as lease:
        before = lease.expires_at
        renewed = await lease.renew(duration_minutes=10)

        assert renewed.expires_at == lease.expires_at
        assert (lease.expires_at - before).total_seconds() > 500


async def test_giving_back_early_is_not_losing(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT) as lease:
        await lease.release()
        await lease.release()
        assert not lease.is_held
        assert await fleet.tenant.leases() == []
        await fleet.log_has("LeaseReleased")
    assert len(await fleet.tenant.events("LeaseReleased")) == 1


async def test_the_blocks_own_exception_goes_first(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LookupError, match="mine"):
            async with agent.lease(CONTACT) as lease, given_back_elsewhere(fleet, lease):
                try:
                    await for_ever()
                finally:
                    raise LookupError("mine")


async def test_of_two_leases_the_one_that_is_lost_ends_its_own_block_only(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease("outer@example.com") as outer:
        with pytest.raises(LeaseLostError, match="inner"):
            async with (
                agent.lease("inner@example.com") as inner,
                given_back_elsewhere(fleet, inner),
            ):
                await for_ever()
        assert outer.is_held


async def test_an_outer_lease_that_is_lost_ends_the_inner_block_which_gives_its_own_back(
    fleet: Fleet,
) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError, match="outer"):
            async with (
                agent.lease("outer@example.com") as outer,
                agent.lease("inner@example.com"),
                given_back_elsewhere(fleet, outer),
            ):
                await for_ever()
        assert await fleet.tenant.leases() == []


async def test_whoever_holds_twice_gives_back_once(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT) as one:
        async with agent.lease(CONTACT) as other:
            assert (other.id, other.fence) == (one.id, one.fence)
        assert one.is_held
        assert len(await fleet.tenant.leases()) == 1


async def test_who_takes_what_is_being_given_back_keeps_it(fleet: Fleet) -> None:
    """The service knows one lease of the agent: the task whose turn is first decides about it."""
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT) as one:
        other = agent.lease(CONTACT)
        taking = asyncio.create_task(other.acquire())
        while not agent._context._contact_locks:  # noqa: ASYNC110 - it is over within one look at a clock.
            await asyncio.sleep(0)
        await one.release()
        await taking

        assert (await other.request_send()).authorized
        await other.close()
        assert await fleet.tenant.leases() == []


async def test_when_the_agent_leaves_a_block_in_another_task_is_told(fleet: Fleet) -> None:
    inside = asyncio.Event()

    async with fleet.agent("outreach") as agent:

        async def work() -> None:
            async with agent.lease(CONTACT):
                inside.set()
                await for_ever()

        task = asyncio.create_task(work())
        await inside.wait()
    with pytest.raises(LeaseLostError) as lost:
        await task
    assert lost.value.reason == "left"
    assert await fleet.tenant.leases() == []


async def test_a_lease_is_used_once(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        lease = agent.lease(CONTACT)
        with pytest.raises(RuntimeError, match="async with"):
            _ = lease.fence
        async with lease:
            pass
        with pytest.raises(RuntimeError, match="once"):
            await lease.__aenter__()
