"""A notification wakes the agents that wait for a contact; they do not poll."""

import asyncio

import pytest

from quorate.client import Agent, LeaseConflictError
from tests.e2e.client.agent_fleet import Fleet, time_limit
from tests.e2e.service.nats_listener import wait_until

CONTACT = "user@example.com"
LONG = 60.0
POLLING_WOULD_SHOW_SECONDS = 0.3  # A polling client would send a request in this time.


async def acquire_fence(agent: Agent, contact: str = CONTACT) -> int:
    async with time_limit(), agent.lease(contact, wait_seconds=LONG) as lease:
        return lease.fence


async def test_conflict_names_the_holder_when_the_agent_does_not_wait(fleet: Fleet) -> None:
    async with (
        fleet.agent("one") as one,
        fleet.agent("two") as two,
        one.lease(CONTACT) as lease,
    ):
        with pytest.raises(LeaseConflictError) as rejection:
            async with two.lease(CONTACT):
                pass

    holder = rejection.value.holder
    assert holder is not None
    assert (holder.agent_id, holder.agent_name) == (one.id, "one")
    assert holder.expires_at == lease.expires_at


async def test_waiting_agent_is_woken_by_the_release_without_polling(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two:
        async with one.lease(CONTACT) as lease:
            waiting = asyncio.create_task(acquire_fence(two))
            await fleet.wait_for_events("LeaseConflicted")
            await asyncio.sleep(POLLING_WOULD_SHOW_SECONDS)
        assert await waiting > lease.fence

    assert len(await fleet.tenant.events("LeaseConflicted")) == 1


async def test_waiting_agent_may_spell_the_address_differently(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two:
        async with one.lease("user@xn--bcher-kva.example"):
            waiting = asyncio.create_task(acquire_fence(two, "User@bücher.example"))
            await fleet.wait_for_events("LeaseConflicted")
        await waiting


async def test_waiting_agent_acquires_when_the_lease_of_a_crashed_holder_expires(
    fleet: Fleet,
) -> None:
    crashed = await fleet.tenant.create_agent("crashed")
    lease = await crashed.lease(crashed.id, CONTACT, durationMinutes=1 / 60)
    async with fleet.agent("two") as two:
        assert await acquire_fence(two) > lease["fence"]


async def test_waiting_agent_acquires_without_a_notification(fleet: Fleet) -> None:
    crashed = await fleet.tenant.create_agent("crashed")
    lease = await crashed.lease(crashed.id, CONTACT, durationMinutes=1 / 60)
    async with fleet.agent("two") as two:
        two._feed._listeners.clear()
        assert await acquire_fence(two) > lease["fence"]


async def test_waiting_agents_acquire_one_after_the_other(fleet: Fleet) -> None:
    async with (
        fleet.agent("one") as one,
        fleet.agent("two") as two,
        fleet.agent("three") as three,
        fleet.agent("four") as four,
    ):
        async with one.lease(CONTACT):
            waiting = [asyncio.create_task(acquire_fence(each)) for each in (two, three, four)]
            await fleet.wait_for_events("LeaseConflicted", count=3)
        fences = [await each for each in waiting]

    assert len(set(fences)) == 3


async def test_conflict_is_raised_at_the_end_of_the_wait(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two, one.lease(CONTACT):
        with pytest.raises(LeaseConflictError):
            async with two.lease(CONTACT, wait_seconds=0.2):
                pass


async def test_cancelled_wait_leaves_no_lease(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two:
        async with one.lease(CONTACT):
            waiting = asyncio.create_task(acquire_fence(two))
            await fleet.wait_for_events("LeaseConflicted")
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await fleet.tenant.leases() == []


async def test_lease_that_is_granted_after_a_cancellation_is_released(
    fleet: Fleet,
) -> None:
    async with fleet.agent("one") as one:
        acquiring = asyncio.create_task(acquire_fence(one))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # The request is sent and not answered.
        acquiring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await acquiring
        await fleet.wait_for_events("LeaseReleased")

        async def is_free() -> bool:
            return await fleet.tenant.leases() == []

        await wait_until(is_free)
