"""Several replicas on one database act as one service, whichever replica receives a request."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from functools import partial

import pytest

from quorate.domain.identity.tenants import OPERATORS
from tests.e2e.service import wrong_clock
from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import KEYS, LEASE, Agent, Operator, Tenant, event_types
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.notification_readers import (
    notification_names,
    open_stream,
    read_all,
    start_long_poll,
)
from tests.e2e.service.replicas import Replica, Replicas, run_concurrently, upgrade_schema
from tests.e2e.service.service_process import Json
from tests.support.postgres import PostgresServer

CONTACT = "user@example.com"
RIVALS = 10
COMMANDS = 40
WAIT_SECONDS = 20.0
MANY_SECONDS = 600  # Less than the error of the wrong clocks, more than a test takes.


@pytest.fixture(scope="module")
def replicas(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    """Two replicas, started concurrently after two concurrent schema upgrades."""
    url = postgres.empty_url()
    run_concurrently(lambda: upgrade_schema(url), lambda: upgrade_schema(url))
    both = Replicas(tmp_path_factory.mktemp("replicas"), url, 2, "--log-level", "debug")
    try:
        both.start()
        yield both
    finally:
        both.end()


@pytest.fixture
async def here(replicas: Replicas) -> AsyncIterator[Operator]:
    operator = Operator(replicas.all[0])
    yield operator
    await operator.close()


@pytest.fixture
async def there(replicas: Replicas) -> AsyncIterator[Operator]:
    operator = Operator(replicas.all[1])
    yield operator
    await operator.close()


@pytest.fixture
async def tenant(here: Operator) -> Tenant:
    return await here.create_tenant()


def same_tenant(operator: Operator, tenant: Tenant) -> Tenant:
    return Tenant(operator, tenant.issued)


def same_agent(operator: Operator, agent: Agent) -> Agent:
    return Agent(operator, agent.issued)


def test_concurrent_first_starts_create_one_initial_state(
    replicas: Replicas, postgres: PostgresServer
) -> None:
    schema = replicas.shared.database_url.rpartition("=")[2]
    found = postgres.run_sql(
        f"SELECT tenant, type FROM events WHERE tenant IN ('default', '{OPERATORS}')"  # noqa: S608
        " AND type IN ('TenantCreated', 'KeyIssued')",
        schema=schema,
    )

    assert sorted(set(found.split())) == sorted(found.split())
    assert len(found.split()) == 4


async def test_event_of_one_replica_is_visible_on_the_other(
    tenant: Tenant, there: Operator
) -> None:
    ann = await tenant.create_agent("ann")
    lease = await ann.lease(ann.id, CONTACT)
    on_other_replica = same_tenant(there, tenant)

    assert [one["id"] for one in await on_other_replica.leases()] == [lease["id"]]
    assert await on_other_replica.head() == await tenant.head()
    assert (await on_other_replica.release(lease["id"]))["released"] is True
    assert await tenant.leases() == []


async def test_contact_is_leased_once_across_replicas(tenant: Tenant, there: Operator) -> None:
    rivals = await tenant.create_agents(*(f"rival{number}" for number in range(RIVALS)))
    rivals = [*rivals[::2], *(same_agent(there, rival) for rival in rivals[1::2])]

    responses = await asyncio.gather(*(rival.acquire(rival.id, CONTACT) for rival in rivals))

    assert sorted(response.status_code for response in responses) == [200, *[409] * (RIVALS - 1)]
    assert event_types(await tenant.events("LeaseAcquired")) == ["LeaseAcquired"]


async def test_idempotency_key_applies_across_replicas(tenant: Tenant, there: Operator) -> None:
    ann = await tenant.create_agent("ann")
    both = (ann, same_agent(there, ann))
    key, body = {"Idempotency-Key": "once"}, {"agentId": ann.id, "contactEmail": CONTACT}

    responses = await asyncio.gather(
        *(one.request_ok("POST", LEASE, body, headers=key) for one in both)
    )

    assert responses[0] == responses[1]
    assert len(await tenant.events("LeaseAcquired")) == 1


async def test_stream_and_long_poll_receive_events_of_the_other_replica(
    tenant: Tenant, there: Operator
) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    head = await tenant.head()
    same_ann = same_agent(there, ann)
    async with (
        follow_events(same_tenant(there, tenant), last=head) as log,
        open_stream(same_ann, last=head) as notifications,
    ):
        page = start_long_poll(same_ann, head, WAIT_SECONDS)
        await bob.acquire(bob.id, CONTACT)

        assert (await log.event())["type"] == "LeaseConflicted"
        assert notification_names([await notifications.event()]) == ["lease_conflict"]
        assert notification_names((await page)["notifications"]) == ["lease_conflict"]


async def test_all_replicas_serve_nats_commands(
    tenant: Tenant, replicas: Replicas, there: Operator
) -> None:
    ann = await tenant.create_agent("ann")
    nats_agent = await NatsAgent.of(ann)
    for number in range(COMMANDS):
        await nats_agent.request_ok("acquireLease", contactEmail=f"user{number}@example.com")

    assert len(await same_tenant(there, tenant).leases()) == COMMANDS
    for replica in replicas.all:
        assert replica.log_entries("nats.served"), "the replica served no command"


async def test_notification_is_published_for_a_command_on_any_replica(
    tenant: Tenant, there: Operator
) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    listener = await ann.subscribe_to_all()
    await ann.lease(ann.id, CONTACT)
    for operator in (tenant.operator, there):
        await same_agent(operator, bob).acquire(bob.id, CONTACT)

    await wait_until(lambda: len(listener.notifications("lease_conflict")) == 2)
    assert [one["id"] for one in listener.notifications("lease_conflict")] == [
        one["id"] for one in await read_all(ann) if one["type"] == "quorate.lease_conflict"
    ]


async def test_revocation_applies_to_all_replicas(
    tenant: Tenant, here: Operator, there: Operator
) -> None:
    ann = await tenant.create_agent("ann")
    on_other_replica = same_agent(there, ann)
    await on_other_replica.heartbeat(ann.id)
    connected = await ann.subscribe_to_all()
    async with open_stream(on_other_replica) as stream:
        await here.request_ok("DELETE", f"{KEYS}/{ann.issued.id}")

        await stream.end()
        await asyncio.wait_for(connected.lost.wait(), WAIT_SECONDS)
    for one in (ann, on_other_replica):
        await wait_until(partial(_is_unauthorized, one))
    for _ in range(RIVALS):  # Any replica may check the key.
        with pytest.raises(Exception, match="Authorization"):
            await Listener.connected(here.service.nats_url, ann.text, ann.issued.principal)


async def _is_unauthorized(agent: Agent) -> bool:
    response = await agent.acquire(agent.id, CONTACT)
    return response.status_code == 401


async def test_all_replicas_use_the_database_clock(
    tenant: Tenant, replicas: Replicas, there: Operator
) -> None:
    folder = replicas.all[0].data_dir.with_name("wrong")
    wrong = Replica(folder, replicas.shared, program=wrong_clock.__name__)
    await asyncio.to_thread(wrong.start)
    operator = Operator(wrong)
    try:
        ann = await tenant.create_agent("ann")
        for each in (operator, there, operator, tenant.operator):
            lease = await same_agent(each, ann).lease(ann.id, CONTACT, durationMinutes=10)
            await same_agent(each, ann).release(lease["id"])
    finally:
        await operator.close()
        await asyncio.to_thread(wrong.end)

    assert _seconds_between(await tenant.events()) < MANY_SECONDS


def _seconds_between(events: Sequence[Json]) -> float:
    first, last = (datetime.fromisoformat(events[index]["at"]) for index in (0, -1))
    return (last - first).total_seconds()
