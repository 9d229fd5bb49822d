"""A lease excludes other tasks, threads and processes of the same agent, as it excludes agents."""

# ruff: noqa: PT012 - the tests are about the exception of a whole block.

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from quorate.client import Agent, LeaseConflictError, LeaseLostError
from quorate.client import blocking as blocking_sdk
from quorate.client.contact_waiting import PAUSE_SECONDS_MAX
from quorate.domain.coordination.leases import CONTENDERS_MAX
from tests.e2e.client.agent_fleet import Fleet, time_limit
from tests.e2e.service.http_clients import Tenant

CONTACT = "user@example.com"
REGISTER = "/v1/agent/register"
LONG = 60.0


# -- Tasks and threads of one agent ------------------------------------------------


async def test_second_task_is_rejected_and_only_one_is_authorized(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:

        async def send() -> bool:
            async with agent.lease(CONTACT) as lease:
                verdict = await lease.request_send()
                await asyncio.sleep(0.2)
                return verdict.authorized

        results = await asyncio.gather(send(), send(), return_exceptions=True)

    assert results.count(True) == 1
    (rejection,) = [one for one in results if one is not True]
    assert isinstance(rejection, LeaseConflictError)
    assert len(await fleet.tenant.events("SendAuthorized")) == 1


async def test_second_task_waits_and_gets_another_fence(fleet: Fleet) -> None:
    order: list[str] = []
    async with fleet.agent("outreach") as agent:

        async def work(name: str) -> int:
            async with time_limit(), agent.lease(CONTACT, wait_seconds=LONG) as lease:
                order.append(f"{name} in")
                assert (await lease.request_send()).authorized
                order.append(f"{name} out")
                return lease.fence

        fences = await asyncio.gather(*(work(name) for name in ("one", "two", "three")))

    assert order == [f"{name} {way}" for name in ("one", "two", "three") for way in ("in", "out")]
    assert list(fences) == sorted(set(fences))
    assert await fleet.tenant.leases() == []


async def test_rejection_of_a_task_names_its_own_agent(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT) as lease:
        with pytest.raises(LeaseConflictError, match="Another task") as rejection:
            async with agent.lease(CONTACT.upper()):
                pass

        holder = rejection.value.holder
        assert holder is not None
        assert (holder.agent_id, holder.agent_name) == (agent.id, "outreach")
        assert (holder.holder, holder.expires_at) == (lease.info.holder, lease.expires_at)
    assert await fleet.tenant.events("LeaseConflicted") == []


async def test_task_of_a_lost_lease_excludes_others_until_its_block_ends(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        with pytest.raises(LeaseLostError):
            async with agent.lease(CONTACT) as lease:
                await asyncio.shield(asyncio.create_task(fleet.tenant.release(lease.id)))
                try:
                    async with time_limit():
                        await asyncio.Event().wait()
                except asyncio.CancelledError:
                    with pytest.raises(LeaseConflictError):  # Its work has not ended.
                        await agent.lease(CONTACT).acquire()
                    raise
        async with agent.lease(CONTACT) as following:
            assert following.fence > lease.fence


async def test_reentrant_lease_does_not_enter_an_exclusive_block(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent, agent.lease(CONTACT):
        with pytest.raises(LeaseConflictError):
            async with agent.lease(CONTACT, reentrant=True):
                pass


async def test_failed_acquisition_leaves_the_contact_to_other_tasks(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        async with fleet.agent("rival") as rival, rival.lease(CONTACT):
            with pytest.raises(LeaseConflictError):
                await agent.lease(CONTACT).acquire()
        async with agent.lease(CONTACT):
            pass


async def test_second_thread_is_rejected(fleet: Fleet) -> None:
    key = await fleet.get_key("outreach")
    barrier = threading.Barrier(2)

    def run() -> list[bool]:
        with (
            blocking_sdk.Agent.connect(fleet.service.url, key, nats_url=fleet.nats_url) as agent,
            ThreadPoolExecutor(2) as threads,
        ):

            def send(_: int) -> bool:
                barrier.wait()
                try:
                    with agent.lease(CONTACT) as lease:
                        assert lease.request_send().authorized
                        barrier.wait()
                        return True
                except LeaseConflictError:
                    barrier.wait()
                    return False

            return list(threads.map(send, range(2)))

    assert sorted(await asyncio.to_thread(run)) == [False, True]
    assert len(await fleet.tenant.events("SendAuthorized")) == 1


# -- Processes of one agent ----------------------------------------------------------


async def test_second_process_of_an_agent_is_a_rival(fleet: Fleet) -> None:
    """Two connections with one key stand for two processes."""
    async with fleet.agent("outreach") as one, fleet.agent("outreach") as two:
        async with one.lease(CONTACT) as lease:
            with pytest.raises(LeaseConflictError) as rejection:
                async with two.lease(CONTACT):
                    pass
            assert (await lease.request_send()).authorized
        async with two.lease(CONTACT) as next_lease:
            assert next_lease.fence > lease.fence

    holder = rejection.value.holder
    assert holder is not None
    assert (holder.agent_id, holder.holder) == (one.id, lease.info.holder)
    (event,) = await fleet.tenant.events("LeaseConflicted")
    assert event["data"]["holder"] == lease.info.holder
    assert event["data"]["requestedHolder"] == next_lease.info.holder


async def test_second_process_of_an_agent_waits_for_the_first(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as one, fleet.agent("outreach") as two:

        async def wait() -> int:
            async with time_limit(), two.lease(CONTACT, wait_seconds=LONG) as lease:
                return lease.fence

        async with one.lease(CONTACT) as lease:
            waiting = asyncio.create_task(wait())
            await fleet.wait_for_events("LeaseConflicted")
        assert await waiting > lease.fence

    assert len(await fleet.tenant.events("LeaseConflicted")) == 1  # It did not poll.


async def test_process_with_the_name_of_its_predecessor_takes_over(fleet: Fleet) -> None:
    async with (
        fleet.agent("outreach", holder="worker-1") as one,
        fleet.agent("outreach", holder="worker-1") as two,
    ):
        following = two.lease(CONTACT)
        with pytest.raises(LeaseLostError, match="revoked"):
            async with one.lease(CONTACT) as lease:
                await fleet.tenant.request("POST", REGISTER, {"agentName": "outreach"})
                taking = asyncio.create_task(following.acquire())
                async with time_limit():
                    await asyncio.Event().wait()
        await taking
        old = await one.request_send(CONTACT, fence=lease.fence)
        new = await following.request_send()
        await following.close()

    assert (old.authorized, old.reason) == (False, "stale_fence")
    assert new.authorized
    assert following.fence > lease.fence


# -- More agents than the service notifies -----------------------------------------------


async def test_agent_that_is_not_notified_gets_the_contact_soon(fleet: Fleet) -> None:
    async with fleet.agent("holder") as holder, fleet.agent("waiting") as waiting:
        async with holder.lease(CONTACT):
            await contend(fleet.tenant)

            async def wait() -> int:
                async with time_limit(), waiting.lease(CONTACT, wait_seconds=LONG) as lease:
                    return lease.fence

            acquiring = asyncio.create_task(wait())
            await fleet.wait_for_events("LeaseConflicted", CONTENDERS_MAX + 1)
            released_at = asyncio.get_running_loop().time()
        assert await acquiring > 0
        assert asyncio.get_running_loop().time() - released_at < PAUSE_SECONDS_MAX


async def contend(tenant: Tenant) -> None:
    """Let as many agents be rejected as the service notifies."""
    for number in range(CONTENDERS_MAX):
        agent = await tenant.request("POST", REGISTER, {"agentName": f"contender-{number}"})
        response = await tenant.request(
            "POST",
            "/v1/agent/coordination/lease",
            {"agentId": agent.json()["id"], "contactEmail": CONTACT},
        )
        assert response.json()["willNotify"]


async def test_agent_is_shown_with_its_holder(fleet: Fleet) -> None:
    async with fleet.agent("outreach", holder="pod-7") as agent, agent.lease(CONTACT) as lease:
        assert isinstance(agent, Agent)
        assert [one["holder"] for one in await fleet.tenant.leases()] == ["pod-7"]
        assert lease.info.holder == "pod-7"
