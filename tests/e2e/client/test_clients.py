"""Both clients offer every operation: in groups, by ``call``, and as iterators over all pages."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from typing import Any, TypeAlias

import pytest

from quorate.client import (
    AgentNotFoundError,
    AgentRef,
    AsyncClient,
    Client,
    ConsensusRequested,
    Gap,
    LeaseConflictError,
    UnauthorizedError,
    list_requests,
    mail_requests,
    operator_requests,
    preset_requests,
    requests,
    schedule_requests,
    session_requests,
    task_requests,
)
from quorate.client import resources as groups
from quorate.client.blocking import Agent as BlockingAgent
from quorate.client.blocking import NotificationFeed as BlockingFeed
from quorate.client.operation_groups import Group
from quorate.contracts.coordination.leases import GET_LEASE, LIST_LEASES, LeaseInfo, LeasesQuery
from quorate.contracts.identity.agents import REGISTER, RegisterBody
from tests.e2e.client.agent_fleet import Fleet
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import ServiceProcess

AnyClient: TypeAlias = Any  # The test treats both clients alike; tests/typing checks the types.
CONTACT = "user@example.com"
ANN = AgentRef(name="ann")


@pytest.fixture(params=[Client, AsyncClient])
async def client(
    request: pytest.FixtureRequest, service: ServiceProcess, tenant: Tenant
) -> AsyncIterator[AnyClient]:
    """A client with the key of a tenant."""
    made = request.param(service.url, tenant.key)
    yield made
    await settle(made.close())


async def settle(result: Awaitable[Any] | object) -> Any:  # noqa: ANN401 - of either client.
    return await result if inspect.isawaitable(result) else result


async def collect(items: Iterable[Any] | AsyncIterator[Any]) -> list[Any]:
    return [one async for one in items] if isinstance(items, AsyncIterator) else list(items)


async def test_lease_life_cycle(client: AnyClient) -> None:
    agent = await settle(client.agents.register("ann", "outbound"))
    await settle(client.agents.register("bob"))
    lease = await settle(client.leases.acquire(ANN, CONTACT, duration_minutes=5))
    with pytest.raises(LeaseConflictError):
        await settle(client.leases.acquire(AgentRef(name="bob"), CONTACT))

    assert (await settle(client.leases.get(lease.id))).agent_id == agent.id
    (held,) = await settle(client.leases.list(contact_email=CONTACT))
    assert (held.id, held.fence) == (lease.id, lease.fence)
    assert await settle(client.leases.list(agent_id="agent_unknown")) == []
    assert (await settle(client.leases.renew(lease.id, duration_minutes=9))).fence == lease.fence
    assert (await settle(client.send_gate.request(ANN, CONTACT, fence=lease.fence))).authorized
    assert (await settle(client.leases.release(lease.id))).released


async def test_agents_and_settings(client: AnyClient) -> None:
    agent = await settle(client.agents.register("ann"))

    assert (await settle(client.agents.heartbeat(ANN))).agent_id == agent.id
    assert (await settle(client.agents.get(agent.id))).name == "ann"
    put = await settle(client.agents.put_config(agent.id, {"humanizer_enabled": True}))
    assert put == await settle(client.agents.get_config(agent.id))
    with pytest.raises(AgentNotFoundError):
        await settle(client.agents.get("agent_unknown"))


async def test_consensus(client: AnyClient) -> None:
    await settle(client.agents.register("ann"))
    proposal = await settle(
        client.consensus.request(ANN, action="pause", contact_email=CONTACT, reason="why")
    )
    vote = await settle(client.consensus.vote(ANN, proposal.id, "approve", "agreed"))

    assert vote.consensus_status == "approved"
    assert (await settle(client.consensus.get(proposal.id))).status == "approved"
    assert [one.id for one in await settle(client.consensus.list(status="approved"))] == [
        proposal.id
    ]
    assert [one.id for one in await settle(client.consensus.votes(proposal.id))] == [vote.id]
    assert [one.id for one in await collect(client.consensus.iterate_votes(proposal.id))] == [
        vote.id
    ]


async def test_iterate_votes_reads_all_pages(client: AnyClient) -> None:
    names = ["ann", "bob", "cid", "dan", "eve", "fay"]
    for name in names:
        await settle(client.agents.register(name))
    proposal = await settle(
        client.consensus.request(ANN, action="pause", contact_email=CONTACT, reason="why")
    )
    votes = [
        await settle(client.consensus.vote(AgentRef(name=name), proposal.id, "approve"))
        for name in names[:3]
    ]
    iterated = await collect(client.consensus.iterate_votes(proposal.id, limit=1))

    assert sorted(one.id for one in iterated) == sorted(one.id for one in votes)


async def test_keys(client: AnyClient, tenant: Tenant) -> None:
    issued = await settle(client.keys.issue("agent", "ann"))

    assert issued.key
    assert issued.key not in repr(issued)
    assert (await settle(client.keys.own())).role == "tenant"
    assert issued.id in [one.id for one in await settle(client.keys.list())]
    assert (await settle(client.keys.revoke(issued.id))).revoked
    with pytest.raises(UnauthorizedError):
        await settle(client.tenants.create("another"))
    assert str(tenant.key) not in repr(client)
    assert str(tenant.key) not in repr(client.keys)


async def test_tenant_key_reads_what_its_agents_share(client: AnyClient) -> None:
    everyone = AgentRef()
    for name in ("ann", "bob"):
        me = AgentRef(name=name)
        await settle(client.agents.register(name))
        await settle(client.sessions.send(me, f"agent:{name}:main", f"hello {name}"))
        await settle(client.tasks.spawn(me, f"task of {name}"))
        await settle(client.task_lists.call(me, "create", subject="one", list_id=f"of-{name}"))
        turn = {"kind": "agentTurn", "message": "Wake up"}
        await settle(
            client.schedules.call(me, "create", schedule={"every_seconds": 3_600}, payload=turn)
        )
    claim = await settle(client.tasks.claim(AgentRef(name="bob"), ["-"]))
    await settle(
        client.tasks.complete(AgentRef(name="bob"), claim.task.task_id, claim.task.fence, "done")
    )

    sessions = await collect(client.sessions.iterate(everyone, limit=1))
    tasks = await collect(client.tasks.iterate(everyone, limit=1))
    items = await collect(client.task_lists.iterate(everyone, limit=1))
    schedules = await collect(client.schedules.iterate(everyone, limit=1))
    history = await settle(client.sessions.history(everyone, "agent:bob:main"))
    result = await settle(client.tasks.result(everyone, claim.task.task_id))
    lists = await settle(client.task_lists.list_ids(everyone))
    shown = await settle(client.schedules.get(everyone, schedules[0].id))
    own = await collect(client.schedules.iterate(AgentRef(name="bob")))

    assert sorted(one.key for one in sessions) == ["agent:ann:main", "agent:bob:main"]
    assert [one.content for one in history.messages] == ["hello bob"]
    assert [one.task for one in tasks] == ["task of bob", "task of ann"]
    assert (result.task, result.text) == ("task of ann", "done")
    assert sorted(one.list_id for one in items) == sorted(lists.list_ids) == ["of-ann", "of-bob"]
    assert shown.schedule == schedules[0]
    assert [one.id for one in own] == [schedules[1].id]
    assert await settle(client.tasks.dead_letters()) == []


async def test_iterate_reads_all_pages(client: AnyClient) -> None:
    names = [f"agent-{number}" for number in range(5)]
    for name in names:
        await settle(client.agents.register(name))

    assert len(await settle(client.agents.list(limit=2))) == 2
    assert sorted(one.name for one in await collect(client.agents.iterate(limit=2))) == names
    assert len(await collect(client.agents.iterate(limit=5))) == 5
    assert await collect(client.leases.iterate()) == []


async def test_events_reads_the_whole_log(client: AnyClient, tenant: Tenant) -> None:
    await settle(client.agents.register("ann"))
    expected = await tenant.events()
    events = await collect(client.events())

    assert [one.raw for one in events] == expected
    assert [one.sequence for one in await collect(client.events(after=2))] == [
        one["sequence"] for one in expected if one["sequence"] > 2
    ]
    pages = await collect(client.events.pages(limit=1))
    assert [event.sequence for page in pages for event in page.events] == [
        one.sequence for one in events
    ]
    found = await settle(client.events.list(type="AgentRegistered"))
    assert [one.type for one in found.events] == ["AgentRegistered"]
    assert found.raw["events"] == [one.raw for one in found.events]


async def test_notifications_are_typed(client: AnyClient) -> None:
    agent = await settle(client.agents.register("ann"))
    request = client.consensus.request
    for action in ("one", "two", "three"):
        await settle(request(ANN, action=action, contact_email=CONTACT, reason="why"))
    page = await settle(client.notifications.list(ANN, after=0, limit=2))
    found = await collect(client.notifications.iterate(ANN, after=0, limit=2))

    assert found[: len(page.notifications)] == list(page.notifications)
    proposals = [one.data for one in found if isinstance(one.data, ConsensusRequested)]
    assert [one.action for one in proposals] == ["one", "two", "three"]
    assert {one.agent_id for one in proposals} == {agent.id}
    assert found[-1].raw["data"]["requestId"] == proposals[-1].request_id
    assert not any(isinstance(one.data, Gap) for one in found)


async def test_call_makes_any_request(client: AnyClient) -> None:
    body = RegisterBody(agent_name="ann")
    agent = await settle(client.call(REGISTER, body, idempotency_key="one-key"))
    again = await settle(
        client.send(requests.register("ann"), idempotency_key="one-key", timeout_seconds=5)
    )
    lease = await settle(client.leases.acquire(ANN, CONTACT))

    assert again.replayed
    assert again.result == agent
    assert await settle(client.call(LIST_LEASES, query=LeasesQuery(limit=1))) == [lease]
    assert await settle(client.call(GET_LEASE, lease_id=lease.id)) == lease
    with pytest.raises(TypeError, match="lease_id"):
        await settle(client.call(GET_LEASE, id=lease.id))


async def test_agent_call_uses_its_transport(fleet: Fleet) -> None:
    async with fleet.agent("ann") as agent, agent.lease(CONTACT) as lease:
        assert isinstance(lease.info, LeaseInfo)
        assert (await agent.call(GET_LEASE, lease_id=lease.id)).id == lease.id
        key = await fleet.get_key("ann")
        shown = repr((agent, lease, agent._feed))
        proposal = await agent.propose("pause", CONTACT, "why")
    assert key not in shown
    assert f"Agent(id={agent.id!r}, name='ann', tenant_id={agent.tenant_id!r}" in shown
    assert f"Lease('{CONTACT}', held, id={lease.id!r}, fence={lease.fence})" in shown
    assert repr(lease) == f"Lease('{CONTACT}', released, id={lease.id!r}, fence={lease.fence})"
    assert repr(proposal) == f"Proposal(id={proposal.id!r}, action='pause', state='pending')"
    assert repr(agent.lease(CONTACT)) == f"Lease('{CONTACT}', not acquired)"


async def test_blocking_agent_call(service: ServiceProcess, tenant: Tenant) -> None:
    with BlockingAgent.connect(service.url, tenant.key, name="ann", nats_url="") as agent:
        assert [one.id for one in agent.call(LIST_LEASES)] == []
        assert repr(agent).startswith(f"blocking.Agent(id={agent.id!r}")


async def test_notification_feeds_of_both_kinds(service: ServiceProcess, tenant: Tenant) -> None:
    agent = await tenant.create_agent("ann")
    proposal = await tenant.propose(agent.id)
    ref = AgentRef(id=agent.id)
    async with (
        AsyncClient(service.url, str(tenant.key)) as client,
        client.notification_feed(ref, after=0) as feed,
    ):
        async for notification in feed.notifications():
            if isinstance(notification.data, ConsensusRequested):
                break
    options = {"agent": ref, "after": 0, "nats_url": ""}
    with BlockingFeed.open(service.url, tenant.key, **options) as reader:  # type: ignore[arg-type]
        names = [one.name for one in iterate_until(reader.notifications(), "consensus_requested")]

    assert notification.raw["data"]["requestId"] == proposal["id"]
    assert names[-1] == "consensus_requested"
    assert f"agent='{agent.id}'" in repr(feed)


def iterate_until(notifications: Iterator[Any], name: str) -> Iterator[Any]:
    for notification in notifications:
        yield notification
        if notification.name == name:
            return


def test_every_function_of_requests_is_in_a_group() -> None:
    modules = (
        *(requests, operator_requests, mail_requests, preset_requests),
        *(session_requests, task_requests, list_requests, schedule_requests),
    )
    names = {one.__name__ for one in modules}
    made = {
        function
        for module in modules
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ in names
        and not name.startswith("_")
    }
    members = [vars(group).values() for group in vars(groups).values() if _is_group(group)]
    grouped = {one._make for values in members for one in values if hasattr(one, "_make")}

    assert grouped == made


def _is_group(found: object) -> bool:
    return inspect.isclass(found) and issubclass(found, Group)
