"""Auditors read and verify the complete log in order, as pages or as a stream."""

import asyncio
from collections.abc import Sequence

import pytest

from quorate.eventlog.hash_chain import EVENT_FIELDS, GENESIS, ChainBroken, verify_exported_event
from quorate.eventlog.recorded_event import StreamHead
from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import (
    EVENTS,
    KeyHolder,
    Operator,
    Tenant,
    event_types,
    rejection,
    success,
)
from tests.e2e.service.service_process import Json

CONTACT = "user@example.com"
PAGE_LENGTH_DEFAULT = 100
SEQUENCE_MAX = 2**53 - 1


def verify(events: Sequence[Json]) -> StreamHead:
    """Verify the hash chain from the start of the log; raises ChainBroken."""
    head = GENESIS
    for event in events:
        head = verify_exported_event(event, head)
    return head


async def read_page(reader: KeyHolder, **query: str) -> Json:
    found: Json = success(await reader.request("GET", EVENTS, query=query))
    return found


async def record_events(tenant: Tenant) -> None:
    """Record events of most types."""
    ann, bob = await tenant.create_agents("ann", "bob")
    lease = await ann.lease(ann.id, CONTACT, intent="naïve ☃ \u2028")
    await bob.acquire(bob.id, CONTACT)
    await bob.request_send(bob.id, CONTACT)
    await ann.lease(ann.id, CONTACT, durationMinutes=60)
    await ann.release(lease["id"])
    request = await ann.propose(ann.id, floor=0.5, electorate="snapshot")
    await ann.vote(request["id"], ann.id, "approve")
    await bob.vote(request["id"], bob.id, "approve")
    config = {"humanizer_enabled": True, "humanizer_style": "casual"}
    await ann.request("PUT", f"/v1/agent/agents/{ann.id}/config", config)
    await ann.register("ann")
    await tenant.operator.revoke(bob.issued)


# -- Pages -------------------------------------------------------------------


async def test_log_contains_every_event_in_order(tenant: Tenant) -> None:
    await record_events(tenant)
    auditor = await tenant.create_auditor()

    log = await auditor.events()

    assert event_types(log) == [
        *("TenantCreated", "KeyIssued"),
        *("KeyIssued", "AgentRegistered", "KeyIssued", "AgentRegistered"),
        *("LeaseAcquired", "LeaseConflicted", "SendBlocked", "LeaseRenewed", "LeaseReleased"),
        *("ConsensusRequested", "VoteCast", "VoteCast", "ConsensusDecided"),
        *("AgentConfigured", "AgentReregistered", "KeyRevoked", "KeyIssued"),
    ]
    assert [event["sequence"] for event in log] == list(range(1, len(log) + 1))
    assert {frozenset(event) for event in log} == {EVENT_FIELDS}
    assert [event["at"] for event in log] == sorted(event["at"] for event in log)
    assert len({event["id"] for event in log}) == len(log)
    acquired = next(event for event in log if event["type"] == "LeaseAcquired")
    assert acquired["stream"] == f"lease-{CONTACT}"
    assert acquired["actor"] == acquired["data"]["agentId"]
    assert acquired["data"]["fence"] == acquired["sequence"]
    assert acquired["data"]["leaseId"]
    decided = [event for event in log if event["type"] in {"VoteCast", "ConsensusDecided"}][-2:]
    assert len({event["commandId"] for event in decided}) == 1, "a decision is caused by a vote"


async def test_events_verify_against_the_hash_chain(tenant: Tenant) -> None:
    await record_events(tenant)
    log = await tenant.events()

    assert verify(log).hash.hex() == log[-1]["hash"]
    for number, event in enumerate(log):
        for name, value in {**event, "data": {**event["data"], "more": 1}}.items():
            other = value + 1 if isinstance(value, int) else f"{value}x"
            forged = [*log[:number], {**event, name: other}, *log[number + 1 :]]
            with pytest.raises(ChainBroken):
                verify(forged)
    for shorter in (log[1:], log[:3] + log[4:]):
        with pytest.raises(ChainBroken):
            verify(shorter)
    with pytest.raises(ChainBroken):
        verify([log[1], log[0], *log[2:]])


async def test_pages_of_any_length_contain_the_complete_log(tenant: Tenant) -> None:
    await record_events(tenant)
    log = await tenant.events()
    for limit in (1, 3, len(log), 1_000):
        read: list[Json] = []
        after = 0
        while after < len(log):
            found = await read_page(tenant, after=str(after), limit=str(limit))
            assert found["head"] == len(log)
            assert len(found["events"]) == min(limit, len(log) - after)
            read += found["events"]
            after = found["next"]

        assert read == log
        assert (await read_page(tenant, after=str(after)))["events"] == []


async def test_page_contains_a_hundred_events_by_default(
    tenant: Tenant,
) -> None:
    ann = await tenant.create_agent("ann")
    contacts = [f"{number}@example.com" for number in range(PAGE_LENGTH_DEFAULT + 5)]
    await asyncio.gather(*(ann.lease(ann.id, contact) for contact in contacts))

    found = await read_page(tenant)

    assert len(found["events"]) == found["next"] == PAGE_LENGTH_DEFAULT
    assert found["head"] == await tenant.head()
    assert found["head"] > PAGE_LENGTH_DEFAULT


@pytest.mark.parametrize(
    "query",
    [
        *(
            {"limit": limit}
            for limit in ("0", "-1", "1001", "ten", "1.5", "", "1e2", "99999999999")
        ),
        *({"after": after} for after in ("-1", "x", "1.5", str(SEQUENCE_MAX + 1), "9" * 5_000)),
        *({name: "1"} for name in ("offset", "order_by", "sort", "position", "tenant", "until")),
    ],
    ids=lambda query: str(query)[:30],
)
async def test_invalid_page_query_is_rejected(tenant: Tenant, query: dict[str, str]) -> None:
    assert rejection(await tenant.request("GET", EVENTS, query=query))["status"] == 422


async def test_page_after_the_head_is_empty(tenant: Tenant) -> None:
    head = await tenant.head()
    found = await read_page(tenant, after=str(head))
    log_id = found.pop("logId")

    assert found == {"events": [], "head": head, "next": head, "gap": None}
    assert len(log_id) == 16


@pytest.mark.parametrize("beyond", [1, None])
async def test_cursor_beyond_the_head_is_of_another_log(tenant: Tenant, beyond: int | None) -> None:
    after = SEQUENCE_MAX if beyond is None else await tenant.head() + beyond
    response = await tenant.request("GET", EVENTS, query={"after": str(after)})

    problem = rejection(response)
    assert (problem["status"], problem["code"]) == (409, "log_mismatch")
    assert problem["head"] == await tenant.head()


async def test_filter_returns_only_matching_events(tenant: Tenant) -> None:
    await record_events(tenant)
    log = await tenant.events()
    agents = {
        agent["agentName"]: agent["id"] for agent in await tenant.request_list("/v1/agent/agents")
    }
    for type_ in set(event_types(log)):
        found = await read_page(tenant, type=type_)
        assert found["events"] == [event for event in log if event["type"] == type_]
        assert found["next"] == found["head"] == len(log)
    for agent_id in agents.values():
        found = await read_page(tenant, agentId=agent_id)
        assert found["events"] == [event for event in log if agent_id in str(event)]
    both = await read_page(tenant, agentId=agents["bob"], type="VoteCast")
    assert [event["data"]["agentId"] for event in both["events"]] == [agents["bob"]]
    assert (await read_page(tenant, type="NothingOfTheKind"))["events"] == []


async def test_global_position_is_not_revealed(tenant: Tenant) -> None:
    await record_events(tenant)

    response = await tenant.request("GET", EVENTS)

    assert b"position" not in response.content
    assert int(response.headers["quorate-sequence"]) == response.json()["head"]


# -- Stream ------------------------------------------------------------------


async def test_stream_equals_the_pages(tenant: Tenant) -> None:
    await record_events(tenant)
    log = await tenant.events()
    async with follow_events(await tenant.create_auditor()) as stream:
        for expected in log:
            frame = await stream.frame()
            assert (frame.id, frame.event) == (str(expected["sequence"]), expected["type"])
            assert frame.json() == expected


async def test_stream_delivers_new_entries(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    head = await tenant.head()
    async with follow_events(tenant, last=head) as stream:
        lease = await ann.lease(ann.id, CONTACT)
        acquired = await stream.event()
        await ann.release(lease["id"])
        released = await stream.event()

    assert acquired["sequence"] == head + 1
    assert acquired["data"]["leaseId"] == lease["id"]
    assert released["type"] == "LeaseReleased"


async def test_reconnected_stream_delivers_each_event_once(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    contacts = [f"{number}@example.com" for number in range(30)]
    acquiring = asyncio.gather(*(ann.lease(ann.id, contact) for contact in contacts))
    received: list[Json] = []
    total = await tenant.head() + len(contacts)
    while len(received) < total:
        last = received[-1]["sequence"] if received else None
        async with follow_events(tenant, last=last) as stream:
            received += await stream.events(min(7, total - len(received)))
    await acquiring

    assert received == await tenant.events()
    verify(received)


async def test_stream_start_can_be_given_in_the_query(tenant: Tenant) -> None:
    await record_events(tenant)
    async with follow_events(tenant, query="?after=5") as stream:
        assert (await stream.event())["sequence"] == 6
    async with follow_events(tenant, query="?after=5", last=7) as stream:
        assert (await stream.event())["sequence"] == 8, "Last-Event-ID takes precedence"


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, "1 OR 1=1"])
async def test_invalid_last_event_id_is_rejected(tenant: Tenant, last: str) -> None:
    response = await tenant.request("GET", f"{EVENTS}/stream", headers={"Last-Event-ID": last})

    problem = rejection(response)
    assert (problem["status"], problem["code"]) == (400, "malformed_request")


async def test_all_streams_deliver_the_same_events(tenant: Tenant, other: Tenant) -> None:
    ann, bob = await tenant.create_agent("ann"), await other.create_agent("bob")
    heads = await tenant.head(), await other.head()
    async with (
        follow_events(tenant, last=heads[0]) as first,
        follow_events(await other.create_auditor(), last=heads[1] + 1) as foreign,
        follow_events(tenant, last=heads[0]) as second,
    ):
        await asyncio.gather(*(ann.lease(ann.id, f"{n}@example.com") for n in range(10)))
        await bob.lease(bob.id, CONTACT)

        assert await first.events(10) == await second.events(10)
        assert (await foreign.event())["actor"] == bob.id


async def test_stream_ends_when_the_service_stops(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    async with follow_events(tenant) as stream:
        await stream.events(await tenant.head())

        await asyncio.to_thread(operator.service.stop)

        await stream.end()
    operator.service.start()
    await operator.connection.reconnect()
    async with follow_events(tenant, last=1) as stream:
        assert (await stream.event())["sequence"] == 2, "the stream continues with the next event"
