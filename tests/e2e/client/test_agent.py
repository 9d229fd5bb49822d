"""An agent registers, stays active, acts and disconnects, over HTTP only and with NATS."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from quorate.client import (
    Agent,
    ClientConfig,
    InvalidRequestError,
    NotificationFeed,
    UnauthorizedError,
    UnavailableError,
)
from quorate.client.transports.http import HttpTransport
from quorate.client.transports.nats import NatsTransport
from tests.e2e.client.agent_fleet import Fleet, collecting, free_ports
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess

WINDOW_SECONDS = 2
SERVE = ("--heartbeat-window-seconds", str(WINDOW_SECONDS))


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()


async def test_agent_has_the_identity_of_its_registration(fleet: Fleet) -> None:
    async with fleet.agent("outreach", role="sales") as agent:
        registered = await fleet.tenant.agent(agent.id)

        assert (agent.name, agent.role) == ("outreach", "sales")
        assert agent.tenant_id == fleet.tenant.id
        assert agent.incarnation == 1
        assert agent.is_active
        assert registered["status"] == "active"
    async with fleet.agent("outreach", role="sales") as again:
        assert (again.id, again.incarnation) == (agent.id, 2)


async def test_tenant_key_connects_the_named_agents(service: ServiceProcess, fleet: Fleet) -> None:
    key, nats_url = fleet.tenant.text, fleet.nats_url
    async with (
        Agent.connect(service.url, key, name="one", nats_url=nats_url) as one,
        Agent.connect(service.url, key, name="two", nats_url=nats_url) as two,
        one.lease("user@example.com") as lease,
    ):
        assert (one.name, two.name) == ("one", "two")
        verdict = await two.request_send("user@example.com")

    assert lease.fence > 0
    assert verdict.holder is not None
    assert verdict.holder.agent_name == "one"


async def test_tenant_key_without_a_name_is_rejected(
    service: ServiceProcess, tenant: Tenant
) -> None:
    with pytest.raises(InvalidRequestError):
        async with Agent.connect(service.url, tenant.text):
            pass


async def test_wrong_key_is_rejected_at_once(service: ServiceProcess) -> None:
    with pytest.raises(UnauthorizedError):
        async with Agent.connect(service.url, "qk_wrong", name="me"):
            pass


async def test_connect_fails_at_the_deadline_when_there_is_no_service() -> None:
    port, _ = free_ports()
    config = ClientConfig(timeout_seconds=0.3)
    with pytest.raises(UnavailableError):
        async with Agent.connect(f"http://127.0.0.1:{port}", "qk_x", name="me", config=config):
            pass


async def test_connect_reads_the_environment(
    service: ServiceProcess, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="QUORATE_URL"):
        async with Agent.connect(name="me"):
            pass
    monkeypatch.setenv("QUORATE_URL", service.url)
    with pytest.raises(ValueError, match="QUORATE_API_KEY"):
        async with Agent.connect(name="me"):
            pass
    monkeypatch.setenv("QUORATE_API_KEY", tenant.text)
    monkeypatch.setenv("QUORATE_NATS_URL", service.nats_url)
    async with Agent.connect(name="me") as agent:
        assert agent.is_active


# -- Heartbeats --------------------------------------------------------------


async def test_background_sends_heartbeats(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        await fleet.wait_for_events(
            "HeartbeatReceived", count=4
        )  # Longer than the heartbeat timeout.

        assert agent.is_active
        assert await fleet.tenant.events("AgentLapsed") == []


async def test_timed_out_agent_sends_a_heartbeat_before_it_acquires(
    fleet: Fleet,
) -> None:
    config = ClientConfig(heartbeat_seconds=1_000)
    async with fleet.agent("outreach", config=config) as agent:
        await fleet.wait_for_events("AgentLapsed")
        assert not agent.is_active
        async with agent.lease("user@example.com") as lease:
            assert lease.is_held
            assert agent.is_active


async def test_agent_sends_a_heartbeat_and_retries_when_it_is_rejected_as_inactive(
    fleet: Fleet,
) -> None:
    config = ClientConfig(heartbeat_seconds=1_000)
    async with fleet.agent("outreach", config=config) as agent:
        liveness = agent._context.liveness
        liveness.until = float("inf")  # Simulates a stopped clock.
        epoch = liveness.epoch
        await fleet.wait_for_events("AgentLapsed")
        async with agent.lease("user@example.com") as lease:
            assert lease.is_held
        assert liveness.epoch == epoch + 1


async def test_agent_that_may_be_inactive_acquires(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        agent._context.liveness.mark_inactive()
        async with agent.lease("user@example.com") as lease:
            assert lease.is_held


# -- Requests ----------------------------------------------------------------


async def test_update_config_replaces_the_whole_config(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        await agent.update_config({"humanizer_enabled": True, "humanizer_style": "calm"})
        assert await agent.update_config({"humanizer_style": "dry"}) == {"humanizer_style": "dry"}
        assert await agent.get_config() == {"humanizer_style": "dry"}


async def test_commands_use_nats_and_fall_back_to_http_when_nats_is_lost(
    service: ServiceProcess, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    over_http: list[str] = []
    attempt = HttpTransport.attempt

    async def count(self, request, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        over_http.append(request.name)
        return await attempt(self, request, *rest)

    fleet = Fleet(tenant, "nats")
    async with fleet.agent("outreach") as agent:
        monkeypatch.setattr(HttpTransport, "attempt", count)
        async with agent.lease("user@example.com") as lease:
            await lease.request_send()
        assert over_http == []
        (pid,) = service.nats_servers()
        os.kill(pid, signal.SIGKILL)
        async with agent.lease("user@example.com") as lease:
            await lease.request_send()

    assert "requestSend" in over_http


async def test_command_with_a_lost_nats_response_is_carried_out_once(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = NatsTransport.attempt

    async def lose_response(self, request, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        await attempt(self, request, *rest)
        raise UnavailableError("The response was lost")

    fleet = Fleet(tenant, "nats")
    async with fleet.agent("outreach") as agent:
        monkeypatch.setattr(NatsTransport, "attempt", lose_response)
        verdict = await agent.request_send("user@example.com")

    (event,) = await tenant.events("SendAuthorized")
    assert event["data"]["sendId"] == verdict.id


async def test_agent_works_when_nats_is_unreachable(
    service: ServiceProcess, tenant: Tenant
) -> None:
    _, port = free_ports()
    nats_url = f"nats://127.0.0.1:{port}"
    connected = Agent.connect(service.url, tenant.text, name="me", nats_url=nats_url)
    async with connected as agent, collecting(agent) as received:
        await tenant.propose(agent.id)
        await wait_until(lambda: bool(received.notifications))

    assert received.notifications[0].name == "consensus_requested"


# -- Disconnecting -----------------------------------------------------------


async def test_disconnecting_agent_releases_its_leases(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        await agent.lease("one@example.com").__aenter__()
        await agent.lease("two@example.com").__aenter__()
        assert len(await fleet.tenant.leases()) == 2

    assert await fleet.tenant.leases() == []


async def test_exception_of_the_block_propagates_and_the_lease_is_released(fleet: Fleet) -> None:
    async def work() -> None:
        async with fleet.agent("outreach") as agent, agent.lease("user@example.com"):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await work()
    assert await fleet.tenant.leases() == []


async def test_cancelled_agent_releases_its_leases(fleet: Fleet) -> None:
    working = asyncio.Event()

    async def work() -> None:
        async with fleet.agent("outreach") as agent, agent.lease("user@example.com"):
            working.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await working.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await fleet.tenant.leases() == []


async def test_disconnecting_from_a_frozen_service_respects_the_shutdown_timeout(
    fleet: Fleet,
) -> None:
    config = ClientConfig(shutdown_timeout_seconds=0.2, timeout_seconds=2)
    service = fleet.service
    try:
        async with fleet.agent("outreach", config=config) as agent:
            await agent.lease("user@example.com", duration_minutes=1 / 60).__aenter__()
            os.kill(service.pid, signal.SIGSTOP)
    finally:
        os.kill(service.pid, signal.SIGCONT)


# -- Following another agent -------------------------------------------------


async def test_notification_feed_follows_an_agent_without_registering_it(fleet: Fleet) -> None:
    watched = await fleet.tenant.create_agent("outreach")
    opened = NotificationFeed.open(fleet.service.url, watched.text, nats_url=fleet.nats_url)
    async with opened as feed:
        await fleet.tenant.propose(watched.id)
        notification = await anext(feed.notifications())

    assert notification.name == "consensus_requested"
    assert len(await fleet.tenant.events("AgentReregistered")) == 0
