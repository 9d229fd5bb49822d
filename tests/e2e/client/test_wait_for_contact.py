"""Whoever waits for a contact is woken when it is free, and asks no more often than that."""

import asyncio

import pytest

from quorate.client import Agent, LeaseConflictError
from tests.e2e.client.agent_fleet import Fleet, eventually, within

CONTACT = "user@example.com"
LONG = 60.0
TIME_TO_ASK_AGAIN = 0.3  # Whoever polls does so now.


async def held_by(agent: Agent, contact: str = CONTACT) -> int:
    async with within(), agent.lease(contact, wait_seconds=LONG) as lease:
        return lease.fence


async def test_without_waiting_the_refusal_names_the_holder(fleet: Fleet) -> None:
    async with (
        fleet.agent("one") as one,
        fleet.agent("two") as two,
        one.lease(CONTACT) as lease,
    ):
        with pytest.raises(LeaseConflictError) as refused:
            async with two.lease(CONTACT):
                pass

    holder = refused.value.holder
    assert holder is not None
    assert (holder.agent_id, holder.agent_name) == (one.id, "one")
    assert holder.expires_at == lease.expires_at


async def test_whoever_waits_is_woken_by_the_release_and_not_by_asking(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two:
        async with one.lease(CONTACT) as lease:
            waiting = asyncio.create_task(held_by(two))
            await fleet.log_has("LeaseConflicted")
            await asyncio.sleep(TIME_TO_ASK_AGAIN)
        assert await waiting > lease.fence

    assert len(await fleet.tenant.events("LeaseConflicted")) == 1


async def test_the_address_may_be_spelled_in_another_way(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two:
        async with one.lease("user@xn--bcher-kva.example"):
            waiting = asyncio.create_task(held_by(two, "User@bücher.example"))
            await fleet.log_has("LeaseConflicted")
        await waiting


async def test_when_the_holder_is_gone_its_lease_ends_by_itself(fleet: Fleet) -> None:
    gone = await fleet.tenant.agent_of("gone")
    lease = await gone.lease(gone.id, CONTACT, durationMinutes=1 / 60)
    async with fleet.agent("two") as two:
        assert await held_by(two) > lease["fence"]


async def test_when_no_notification_comes_the_end_of_the_lease_is_looked_for(fleet: Fleet) -> None:
    gone = await fleet.tenant.agent_of("gone")
    lease = await gone.lease(gone.id, CONTACT, durationMinutes=1 / 60)
    async with fleet.agent("two") as two:
        two._feed._listeners.clear()
        assert await held_by(two) > lease["fence"]


async def test_many_that_wait_have_it_one_after_the_other(fleet: Fleet) -> None:
    async with (
        fleet.agent("one") as one,
        fleet.agent("two") as two,
        fleet.agent("three") as three,
        fleet.agent("four") as four,
    ):
        async with one.lease(CONTACT):
            waiting = [asyncio.create_task(held_by(each)) for each in (two, three, four)]
            await fleet.log_has("LeaseConflicted", count=3)
        fences = [await each for each in waiting]

    assert len(set(fences)) == 3


async def test_waiting_ends_with_the_refusal_when_the_time_is_over(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two, one.lease(CONTACT):
        with pytest.raises(LeaseConflictError):
            async with two.lease(CONTACT, wait_seconds=0.2):
                pass


async def test_whoever_stops_waiting_leaves_nothing_behind(fleet: Fleet) -> None:
    async with fleet.agent("one") as one, fleet.agent("two") as two:
        async with one.lease(CONTACT):
            waiting = asyncio.create_task(held_by(two))
            await fleet.log_has("LeaseConflicted")
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await fleet.tenant.leases() == []


async def test_what_is_granted_to_somebody_who_no_longer_wants_it_is_given_back(
    fleet: Fleet,
) -> None:
    async with fleet.agent("one") as one:
        acquiring = asyncio.create_task(held_by(one))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # It has asked by now, and has no answer yet.
        acquiring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await acquiring
        await fleet.log_has("LeaseReleased")

        async def free() -> bool:
            return await fleet.tenant.leases() == []

        await eventually(free)
