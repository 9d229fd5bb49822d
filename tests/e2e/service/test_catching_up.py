"""An agent that was away, slow or restarted asks for what it missed, and misses nothing."""

import json

import pytest

from tests.e2e.service.http_clients import Agent, Operator, Tenant, refusal
from tests.e2e.service.nats_listener import Listener, until
from tests.e2e.service.notification_readers import NOTIFICATIONS, everything, names, page
from tests.e2e.service.service_process import Json

CONTACT = "user@example.com"
NOTIFICATION_FIELDS = {
    *("specversion", "id", "source", "type", "time", "datacontenttype", "sequence", "data"),
}


async def contention(tenant: Tenant) -> tuple[Agent, Agent]:
    """Ann holds, Bob is refused."""
    ann, bob = await tenant.agents_of("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT)
    return ann, bob


async def much(ann: Agent, bob: Agent) -> None:
    """Something of which each is told, alone and together, and much of which nobody is."""
    lease = await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT)
    await bob.request_send(bob.id, CONTACT)
    await ann.release(lease["id"])
    request = await bob.propose(bob.id)
    for agent in (ann, bob):
        await agent.vote(request["id"], agent.id, "approve")
        await agent.lease(agent.id, f"{agent.name}@example.com")


# -- Pages ---------------------------------------------------------------------


async def test_an_agent_reads_what_it_was_told_in_order(tenant: Tenant) -> None:
    ann, bob = await contention(tenant)
    for agent in (ann, bob):
        found = await page(agent)

        assert names(found["notifications"]) == [
            "agent_registered",
            "agent_registered",
            "lease_conflict",
        ]
        assert {frozenset(notification) for notification in found["notifications"]} == {
            frozenset(NOTIFICATION_FIELDS)
        }
        assert found["next"] == found["head"] == await tenant.head()
        assert found["gap"] is None


async def test_what_it_has_seen_is_not_said_again(tenant: Tenant) -> None:
    ann, bob = await contention(tenant)
    told = await everything(ann)
    for notification in told:
        later = await page(ann, notification["sequence"])
        assert later["notifications"] == [
            one for one in told if one["sequence"] > notification["sequence"]
        ]
    assert (await page(bob, await tenant.head()))["notifications"] == []


async def test_pages_of_any_length_make_up_all_of_it(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    await much(ann, bob)
    for agent in (ann, bob):
        told = await everything(agent)
        for limit in (1, 2, 3, len(told)):
            assert await everything(agent, limit=limit) == told
            assert len((await page(agent, limit=limit))["notifications"]) == limit


async def test_a_page_of_much_text_is_cut_and_the_next_one_goes_on(tenant: Tenant) -> None:
    """What a page holds can be sent over NATS, however much agents had to say."""
    ann = await tenant.agent_of("ann")
    text = "\N{ROCKET}" * 4_000
    count = 50
    requests = [(await ann.propose(ann.id, reason=text))["id"] for _ in range(count)]
    first = await page(ann, 1, limit=1_000)
    subject = f"quorate.{tenant.id}.cmd.{ann.id}.listNotifications"
    asking = await ann.listen()

    over_nats = await asking.client.request(subject, b'{"after": 1, "limit": 1000}', timeout=10)

    assert json.loads(over_nats.data) == first
    assert first["next"] == first["notifications"][-1]["sequence"] < first["head"]
    told = await everything(ann, 1, limit=1_000)
    assert [one["data"]["requestId"] for one in told if "reason" in one["data"]] == requests


async def test_what_is_read_is_what_was_pushed_to_the_byte(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    after = await tenant.head()
    hearing = {agent.id: await agent.hear_all() for agent in (ann, bob)}
    await much(ann, bob)
    for agent in (ann, bob):
        told = await everything(agent, after)
        await heard(hearing[agent.id], told)
        response = await agent.ask("GET", NOTIFICATIONS, query={"after": str(after)})

        pushed = [message.data for message in hearing[agent.id].messages]
        assert b'"notifications":[' + b",".join(pushed) + b"]" in response.content


async def heard(listener: Listener, told: list[Json]) -> None:
    """Return when as much was heard as was told."""
    await until(lambda: len(listener.messages) >= len(told))


async def test_over_nats_the_same_is_answered(tenant: Tenant) -> None:
    ann, _ = await contention(tenant)
    asking = await ann.listen()
    subject = f"quorate.{tenant.id}.cmd.{ann.id}.listNotifications"

    answer = await asking.client.request(subject, b'{"after": 2, "limit": 2}', timeout=10)

    expected = await page(ann, 2, limit=2)
    assert len(expected["notifications"]) == 2
    assert json.loads(answer.data) == expected


async def test_a_wait_over_nats_ends_when_something_concerns_the_agent(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    asking = await ann.listen()
    asked = json.dumps({"after": await tenant.head(), "wait": 30}).encode()
    subject = f"quorate.{tenant.id}.cmd.{ann.id}.listNotifications"
    poll = asking.client.request(subject, asked, timeout=29)

    await bob.acquire(bob.id, CONTACT)

    assert names(json.loads((await poll).data)["notifications"]) == ["lease_conflict"]


# -- Who reads whose -------------------------------------------------------------


async def test_an_agents_key_reads_its_own_and_nobody_elses(tenant: Tenant) -> None:
    ann, bob = await contention(tenant)
    own = await everything(ann)
    assert await everything(ann, agentId=ann.id) == own
    assert await everything(ann, agentName="ANN") == own
    for query in (
        {"agentId": bob.id},
        {"agentName": "bob"},
        {"agentName": "nobody"},
        {"agentId": ann.id, "agentName": "bob"},
    ):
        problem = refusal(await ann.ask("GET", NOTIFICATIONS, query=query))
        assert (problem["status"], problem["code"]) == (403, "acting_as_another")
        assert problem["agentId"] == ann.id


async def test_a_tenants_key_reads_for_any_of_its_agents_and_says_for_whom(
    tenant: Tenant, other: Tenant
) -> None:
    ann, _ = await contention(tenant)
    eve = await other.agent_of("eve")
    own = await everything(ann)
    assert await everything(tenant, agentId=ann.id) == own
    assert await everything(tenant, agentName="Ann") == own
    foreign = {"agentId": eve.id}, {"agentName": "eve"}, {"agentId": ann.id, "agentName": "bob"}
    for query in ({}, *foreign):
        for path in (NOTIFICATIONS, f"{NOTIFICATIONS}/stream"):
            problem = refusal(await tenant.ask("GET", path, query=query))
            assert (problem["status"], problem["code"]) == (404, "agent_not_found")


async def test_an_agent_that_has_a_key_and_has_not_registered_reads_what_all_hear(
    tenant: Tenant,
) -> None:
    ann = await tenant.agent_of("ann")
    dee = Agent(tenant.operator, await tenant.issue("agent", "dee"))

    told = await everything(dee)

    assert [notification["data"]["agentId"] for notification in told] == [ann.id]
    assert await everything(tenant, agentName="dee") == told


async def test_of_what_other_tenants_are_told_nothing_is_read(
    tenant: Tenant, other: Tenant
) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    eve, fay = await other.agents_of("eve", "fay")
    before = await everything(ann)
    await much(eve, fay)

    assert await everything(ann) == before
    assert {notification["source"] for notification in await everything(eve)} == {
        f"quorate/{other.id}"
    }
    assert bob.id not in json.dumps(await everything(eve))


# -- How a missed push is noticed ------------------------------------------------


async def test_every_heartbeat_names_the_last_notification(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    for _ in range(2):
        for agent in (ann, bob):
            answer = await agent.heartbeat(agent.id)
            assert answer["lastNotification"] == (await everything(agent))[-1]["sequence"]
            assert answer == await tenant.heartbeat(agent.id)
        await much(ann, bob)


async def test_who_has_read_up_to_there_has_missed_nothing(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    seen = (await ann.heartbeat(ann.id))["lastNotification"]
    await ann.lease(ann.id, CONTACT)
    assert (await ann.heartbeat(ann.id))["lastNotification"] == seen, "of its own it has its answer"

    await bob.acquire(bob.id, CONTACT)

    last = (await ann.heartbeat(ann.id))["lastNotification"]
    assert last > seen
    assert names((await page(ann, seen))["notifications"]) == ["lease_conflict"]
    assert (await page(ann, last))["notifications"] == []


# -- A contact that may be free --------------------------------------------------


async def test_who_was_refused_hears_when_the_contact_may_be_free(tenant: Tenant) -> None:
    ann, bob, cid = await tenant.agents_of("ann", "bob", "cid")
    hearing = {agent.id: await agent.hear_all() for agent in (ann, bob, cid)}
    lease = await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT.title())
    await bob.acquire(bob.id, CONTACT)
    after = await tenant.head()
    await ann.release(lease["id"])

    (free,) = await everything(bob, after)
    (own,) = await everything(ann, after)

    assert names([free, own]) == ["lease_available", "lease_released"]
    facts = {
        "leaseId": lease["id"],
        "contactKey": CONTACT,
        "contactEmail": CONTACT,
        "agentId": ann.id,
    }
    assert free["data"] == own["data"] == facts
    assert await hearing[bob.id].notification("lease_available") == free
    assert await hearing[ann.id].notification("lease_released") == own
    assert await everything(cid, after) == []
    await hearing[cid.id].client.flush()
    assert "lease_available" not in hearing[cid.id].names()


async def test_when_a_lease_runs_out_the_refused_hear_too(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    hears = await bob.hear_all()
    await ann.lease(ann.id, CONTACT, durationMinutes=1 / 60)
    await bob.acquire(bob.id, CONTACT)

    pushed = await hears.notification("lease_available")

    assert (await everything(bob))[-1] == pushed
    assert (await everything(ann))[-1]["type"] == "quorate.lease_expired"
    await bob.lease(bob.id, CONTACT)


# -- What is no page -------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": limit} for limit in ("0", "-1", "1001", "ten", "1.5", "")),
        *({"after": after} for after in ("-1", "x", "1.5", str(2**53))),
        *({"wait": wait} for wait in ("-1", "30.1", "nan", "inf", "1e400", "soon", "")),
        *({name: "1"} for name in ("type", "until", "position")),
    ],
    ids=str,
)
async def test_what_is_no_page_is_refused(tenant: Tenant, query: dict[str, str]) -> None:
    ann = await tenant.agent_of("ann")

    assert refusal(await ann.ask("GET", NOTIFICATIONS, query=query))["status"] == 422


async def test_what_was_told_before_a_restart_is_read_after_it(operator: Operator) -> None:
    tenant = await operator.tenant()
    ann, bob = await contention(tenant)
    told = await everything(ann)
    last = (await bob.heartbeat(bob.id))["lastNotification"]

    operator.service.restart()
    await operator.line.find_again()

    assert await everything(ann) == told
    assert (await bob.heartbeat(bob.id))["lastNotification"] == last
