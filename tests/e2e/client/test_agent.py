"""An agent registers, stays alive, acts and leaves, over HTTP alone and with NATS."""

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
from tests.e2e.client.agent_fleet import Fleet, eventually, free_ports, hearing
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import Running

WINDOW_SECONDS = 2
SERVE = ("--heartbeat-window-seconds", str(WINDOW_SECONDS))


@pytest.fixture(autouse=True)
async def _nothing_is_left_running() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()


async def test_an_agent_knows_who_it_is(fleet: Fleet) -> None:
    async with fleet.agent("outreach", role="sales") as agent:
        registered = await fleet.tenant.agent(agent.id)

        assert (agent.name, agent.role) == ("outreach", "sales")
        assert agent.tenant_id == fleet.tenant.id
        assert agent.incarnation == 1
        assert agent.is_active
        assert registered["status"] == "active"
    async with fleet.agent("outreach", role="sales") as again:
        assert (again.id, again.incarnation) == (agent.id, 2)


async def test_a_tenants_key_names_the_agent(service: Running, fleet: Fleet) -> None:
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


async def test_a_tenants_key_without_a_name_is_nobody(service: Running, tenant: Tenant) -> None:
    with pytest.raises(InvalidRequestError):
        async with Agent.connect(service.url, tenant.text):
            pass


async def test_a_wrong_key_is_told_at_once(service: Running) -> None:
    with pytest.raises(UnauthorizedError):
        async with Agent.connect(service.url, "qk_wrong", name="me"):
            pass


async def test_nobody_there_is_told_at_the_deadline() -> None:
    port, _ = free_ports()
    config = ClientConfig(timeout_seconds=0.3)
    with pytest.raises(UnavailableError):
        async with Agent.connect(f"http://127.0.0.1:{port}", "qk_x", name="me", config=config):
            pass


async def test_where_the_service_is_may_stand_in_the_environment(
    service: Running, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
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


# -- Staying alive -----------------------------------------------------------


async def test_heartbeats_go_on_by_themselves(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        await fleet.log_has("HeartbeatReceived", count=4)  # More than a window has passed.

        assert agent.is_active
        assert await fleet.tenant.events("AgentLapsed") == []


async def test_an_agent_that_fell_silent_speaks_again_when_it_has_something_to_ask(
    fleet: Fleet,
) -> None:
    config = ClientConfig(heartbeat_seconds=1_000)
    async with fleet.agent("outreach", config=config) as agent:
        await fleet.log_has("AgentLapsed")
        assert not agent.is_active
        async with agent.lease("user@example.com") as lease:
            assert lease.is_held
            assert agent.is_active


async def test_an_agent_that_is_said_to_be_inactive_says_that_it_is_not(fleet: Fleet) -> None:
    config = ClientConfig(heartbeat_seconds=1_000)
    async with fleet.agent("outreach", config=config) as agent:
        liveness = agent._context.liveness
        liveness.until = float("inf")  # A clock that stands still.
        epoch = liveness.epoch
        await fleet.log_has("AgentLapsed")
        async with agent.lease("user@example.com") as lease:
            assert lease.is_held
        assert liveness.epoch == epoch + 1


async def test_an_agent_in_doubt_about_itself_asks_before_it_acquires(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        agent._context.liveness.mark_inactive()
        async with agent.lease("user@example.com") as lease:
            assert lease.is_held


# -- Acting ------------------------------------------------------------------


async def test_settings_are_replaced_as_a_whole(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        await agent.update_config({"humanizer_enabled": True, "humanizer_style": "calm"})
        assert await agent.update_config({"humanizer_style": "dry"}) == {"humanizer_style": "dry"}
        assert await agent.get_config() == {"humanizer_style": "dry"}


async def test_an_agents_commands_go_over_nats_and_over_http_when_nats_is_gone(
    service: Running, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    over_http: list[str] = []
    attempt = HttpTransport.attempt

    async def counted(self, ask, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        over_http.append(ask.name)
        return await attempt(self, ask, *rest)

    fleet = Fleet(tenant, "nats")
    async with fleet.agent("outreach") as agent:
        monkeypatch.setattr(HttpTransport, "attempt", counted)
        async with agent.lease("user@example.com") as lease:
            await lease.request_send()
        assert over_http == []
        (pid,) = service.nats_servers()
        os.kill(pid, signal.SIGKILL)
        async with agent.lease("user@example.com") as lease:
            await lease.request_send()

    assert "requestSend" in over_http


async def test_a_command_whose_answer_was_lost_over_nats_is_not_carried_out_again_over_http(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = NatsTransport.attempt

    async def unheard(self, ask, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        await attempt(self, ask, *rest)
        raise UnavailableError("the answer was lost")

    fleet = Fleet(tenant, "nats")
    async with fleet.agent("outreach") as agent:
        monkeypatch.setattr(NatsTransport, "attempt", unheard)
        verdict = await agent.request_send("user@example.com")

    (event,) = await tenant.events("SendAuthorized")
    assert event["data"]["sendId"] == verdict.id


async def test_nats_that_is_nowhere_hinders_nobody(service: Running, tenant: Tenant) -> None:
    _, port = free_ports()
    nats_url = f"nats://127.0.0.1:{port}"
    connected = Agent.connect(service.url, tenant.text, name="me", nats_url=nats_url)
    async with connected as agent, hearing(agent) as heard:
        await tenant.propose(agent.id)
        await eventually(lambda: bool(heard.notifications))

    assert heard.notifications[0].name == "consensus_requested"


# -- Leaving -----------------------------------------------------------------


async def test_whoever_leaves_gives_back_what_it_has(fleet: Fleet) -> None:
    async with fleet.agent("outreach") as agent:
        await agent.lease("one@example.com").__aenter__()
        await agent.lease("two@example.com").__aenter__()
        assert len(await fleet.tenant.leases()) == 2

    assert await fleet.tenant.leases() == []


async def test_an_exception_comes_through_and_the_lease_goes_back(fleet: Fleet) -> None:
    async def work() -> None:
        async with fleet.agent("outreach") as agent, agent.lease("user@example.com"):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await work()
    assert await fleet.tenant.leases() == []


async def test_whoever_is_cancelled_gives_back_what_it_has(fleet: Fleet) -> None:
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


async def test_leaving_a_service_that_is_frozen_takes_no_longer_than_was_allowed(
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


# -- Watching ----------------------------------------------------------------


async def test_one_can_follow_an_agent_without_being_it(fleet: Fleet) -> None:
    watched = await fleet.tenant.agent_of("outreach")
    opened = NotificationFeed.open(fleet.service.url, watched.text, nats_url=fleet.nats_url)
    async with opened as feed:
        await fleet.tenant.propose(watched.id)
        notification = await anext(feed.notifications())

    assert notification.name == "consensus_requested"
    assert len(await fleet.tenant.events("AgentReregistered")) == 0
