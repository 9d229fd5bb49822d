"""Connected agents receive their notifications over NATS without polling and without delay."""

import asyncio
import time
from datetime import datetime, timedelta

import pytest

from tests.e2e.service.http_clients import (
    COORDINATION,
    Agent,
    Tenant,
    event_types,
    keep_active,
    rejection,
)
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.service_process import Json

TIMEOUT_SECONDS = 2.0
SERVE = ("--heartbeat-window-seconds", str(TIMEOUT_SECONDS))
CONTACT = "user@example.com"
ONE_SECOND = 1 / 60  # In minutes: the shortest lease and proposal.
EXPIRY_DELAY_SECONDS_MAX = 1.0  # Until an expiration is recorded.
PUBLISH_SECONDS_MAX = 1.0  # Takes milliseconds; the machine may be busy.


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def event_of(tenant: Tenant, type_: str, *notifications: Json) -> Json:
    """Return the only event of a type; assert that the notifications belong to it."""
    (event,) = await tenant.events(type_)
    for notification in notifications:
        assert (notification["id"], notification["sequence"]) == (event["id"], event["sequence"])
        assert notification["time"] == event["at"]
        assert notification["source"] == f"quorate/{tenant.id}"
        assert notification["specversion"] == "1.0"
    return event


async def expect_no_repetition(listener: Listener, name: str) -> None:
    """Assert that a notification was received at most once."""
    await listener.client.flush()
    assert len(listener.notifications(name)) <= 1


# -- Leases ------------------------------------------------------------------


async def test_conflict_is_sent_to_the_rejected_agent_and_the_holder(tenant: Tenant) -> None:
    holder, rival, third = await tenant.create_agents("holder", "rival", "third")
    holder_listener, rival_listener, third_listener = [
        await a.subscribe_to_all() for a in (holder, rival, third)
    ]
    lease = await holder.lease(holder.id, CONTACT)

    problem = rejection(await rival.acquire(rival.id, CONTACT, intent="support"))

    assert problem["status"] == 409
    assert problem["conflict"] is True
    leaseholder = {
        "agentId": holder.id,
        "agentName": "holder",
        "expiresAt": lease["expiresAt"],
    }
    assert problem["leaseHolder"] == leaseholder
    for agent, listener in ((holder, holder_listener), (rival, rival_listener)):
        message = await listener.message("lease_conflict")
        assert message.subject == f"quorate.{tenant.id}.agent.{agent.id}.lease_conflict"
        notification = await listener.notification("lease_conflict")
        event = await event_of(tenant, "LeaseConflicted", notification)
        assert message.headers == {"Nats-Msg-Id": event["id"]}
        assert notification["data"]["agentId"] == rival.id
        assert notification["data"]["agentName"] == "rival"
        assert notification["data"]["intent"] == "support"
        assert notification["data"]["contactEmail"] == CONTACT
        assert notification["data"]["leaseId"] == lease["id"]
        assert notification["data"]["conflict"] is True
        assert notification["data"]["leaseHolder"] == leaseholder
    await third_listener.client.flush()
    assert third_listener.notifications("lease_conflict") == []


async def test_conflict_is_published_immediately(tenant: Tenant) -> None:
    holder, rival = await tenant.create_agents("holder", "rival")
    listener = await holder.subscribe_to_all()
    await holder.lease(holder.id, CONTACT)

    began = time.monotonic()
    await rival.acquire(rival.id, CONTACT)
    await listener.notification("lease_conflict")

    assert time.monotonic() - began < PUBLISH_SECONDS_MAX


async def test_holder_is_notified_of_the_expiry_of_its_lease(tenant: Tenant) -> None:
    holder, rival = await tenant.create_agents("holder", "rival")
    holder_listener, rival_listener = (
        await holder.subscribe_to_all(),
        await rival.subscribe_to_all(),
    )
    async with keep_active(holder, rival):
        lease = await holder.lease(holder.id, CONTACT, durationMinutes=ONE_SECOND)

        notification = await holder_listener.notification("lease_expired")

        event = await event_of(tenant, "LeaseExpired", notification)
        assert notification["data"]["leaseId"] == lease["id"]
        late = instant(event["at"]) - instant(lease["expiresAt"])
        assert timedelta(0) <= late <= timedelta(seconds=EXPIRY_DELAY_SECONDS_MAX)
        assert await tenant.leases() == []
        assert (await rival.lease(rival.id, CONTACT))["fence"] > lease["fence"]
    assert rival_listener.notifications("lease_expired") == []


async def test_blocked_send_is_sent_to_the_agent_and_the_holder(tenant: Tenant) -> None:
    holder, rival = await tenant.create_agents("holder", "rival")
    listeners = [await holder.subscribe_to_all(), await rival.subscribe_to_all()]
    lease = await holder.lease(holder.id, CONTACT)

    response = await rival.request_send(rival.id, CONTACT)

    assert (response["status"], response["reason"]) == ("blocked", "lease_conflict")
    for listener in listeners:
        notification = await listener.notification("send_blocked")
        await event_of(tenant, "SendBlocked", notification)
        assert notification["data"]["sendId"] == response["id"]
        assert notification["data"]["agentId"] == rival.id
        assert notification["data"]["leaseHolder"]["agentId"] == holder.id
        assert notification["data"]["leaseHolder"]["expiresAt"] == lease["expiresAt"]


async def test_stale_fencing_token_is_sent_to_the_blocked_agent(tenant: Tenant) -> None:
    agent = await tenant.create_agent("ann")
    listener = await agent.subscribe_to_all()
    lease = await agent.lease(agent.id, CONTACT)
    await agent.release(lease["id"])

    response = await agent.request_send(agent.id, CONTACT, fence=lease["fence"])

    assert (response["status"], response["reason"]) == ("blocked", "stale_fence")
    notification = await listener.notification("send_blocked")
    assert notification["data"]["reason"] == "stale_fence"
    assert notification["data"]["fence"] == lease["fence"]


# -- Agent timeouts ----------------------------------------------------------


async def test_timeout_revokes_leases_and_is_sent_to_all_agents(
    tenant: Tenant,
) -> None:
    silent, lively = await tenant.create_agents("silent", "lively")
    silent_listener, lively_listener = (
        await silent.subscribe_to_all(),
        await lively.subscribe_to_all(),
    )
    auditor = await tenant.create_auditor()
    audit_listener = await auditor.listen(f"quorate.{tenant.id}.all.>")
    async with keep_active(lively):
        leases = [await silent.lease(silent.id, f"user{n}@example.com") for n in range(3)]
        assert (await tenant.agent(silent.id))["leasesHeld"] == 3

        await wait_until(lambda: len(silent_listener.notifications("lease_revoked")) == len(leases))
        timeouts = [
            await listener.notification("agent_lapsed")
            for listener in (silent_listener, lively_listener)
        ]
        timeouts.append(await audit_listener.notification("agent_lapsed"))

        event = await event_of(tenant, "AgentLapsed", *timeouts)
        assert event["data"]["agentId"] == silent.id
        late = instant(event["at"]) - instant(event["data"]["activeUntil"])
        assert timedelta(0) < late <= timedelta(seconds=EXPIRY_DELAY_SECONDS_MAX)
        revoked = {
            notification["data"]["leaseId"]
            for notification in silent_listener.notifications("lease_revoked")
        }
        assert revoked == {lease["id"] for lease in leases}
        assert lively_listener.notifications("lease_revoked") == []
        assert await tenant.leases() == []
        agent = await tenant.agent(silent.id)
        assert (agent["status"], agent["leasesHeld"]) == ("inactive", 0)
        await lively.lease(lively.id, "user0@example.com")


async def test_timeout_and_lease_revocation_have_the_same_time(tenant: Tenant) -> None:
    silent = await tenant.create_agent("silent")
    await silent.lease(silent.id, "a@example.com")
    await silent.lease(silent.id, "b@example.com")
    listener = await silent.subscribe_to_all()
    await listener.notification("agent_lapsed")

    log = await tenant.events()
    (timeout,) = (event for event in log if event["type"] == "AgentLapsed")
    revocations = [event for event in log if event["type"] == "LeaseRevoked"]

    assert {event["data"]["reason"] for event in revocations} == {"agent_inactive"}
    assert [e["sequence"] - timeout["sequence"] for e in revocations] == [1, 2]
    assert {event["at"] for event in revocations} == {timeout["at"]}
    assert {event["commandId"] for event in revocations} == {timeout["commandId"]}


async def test_inactive_agent_does_not_count_for_the_quorum(tenant: Tenant) -> None:
    silent, lively = await tenant.create_agents("silent", "lively")
    listener = await lively.subscribe_to_all()
    async with keep_active(lively):
        request = await lively.propose(lively.id)
        await listener.notification("agent_lapsed")
        assert (await tenant.consensus(request["id"]))["status"] == "pending", (
            "a timeout decides no proposal"
        )

        vote = (await lively.vote(request["id"], lively.id, "approve")).json()

        assert vote["consensusStatus"] == "approved"
        decided = await listener.notification("consensus_decided")
        assert decided["data"]["electorateSize"] == 1
        assert (await tenant.agent(silent.id))["status"] == "inactive"


async def test_inactive_agent_cannot_act_until_its_next_heartbeat(tenant: Tenant) -> None:
    agent, lively = await tenant.create_agents("ann", "lively")
    listener = await lively.subscribe_to_all()
    async with keep_active(lively):
        lease = await agent.lease(agent.id, CONTACT)
        request = await lively.propose(lively.id)
        await listener.notification("agent_lapsed")
        for refused in (
            await agent.acquire(agent.id, CONTACT),
            await agent.vote(request["id"], agent.id, "approve"),
            await agent.request("POST", f"{COORDINATION}/consensus", proposal()),
        ):
            assert refused.status_code == 409
            assert rejection(refused)["code"] == "agent_inactive"

        await agent.heartbeat(agent.id)

        assert (await tenant.agent(agent.id))["status"] == "active"
        assert await tenant.leases() == [], "its leases remain revoked"
        assert (await agent.lease(agent.id, CONTACT))["fence"] > lease["fence"]
        assert (await agent.vote(request["id"], agent.id, "approve")).status_code == 200


def proposal() -> Json:
    return {"action": "pause", "contactEmail": CONTACT, "reason": "because"}


# -- Consensus ---------------------------------------------------------------


async def test_majority_of_three_decides_and_all_are_notified(tenant: Tenant) -> None:
    agents = await tenant.create_agents("ann", "bob", "eve")
    listeners = [await agent.subscribe_to_all() for agent in agents]
    async with keep_active(*agents):
        ann, bob, eve = agents
        request = await ann.propose(ann.id, action="send_pricing_override")
        assert (await bob.vote(request["id"], bob.id, "approve")).json()[
            "consensusStatus"
        ] == "pending"
        assert (await eve.vote(request["id"], eve.id, "approve")).json()[
            "consensusStatus"
        ] == "approved"

        received = [await listener.notification("consensus_decided") for listener in listeners]

        await event_of(tenant, "ConsensusDecided", *received)
        decision = received[0]["data"]
        assert decision["requestId"] == request["id"]
        assert decision["status"] == "approved"
        assert decision["action"] == "send_pricing_override"
        counts = [decision[name] for name in ("approvals", "rejections", "electorateSize")]
        assert counts == [2, 0, 3]
        for listener in listeners:
            await expect_no_repetition(listener, "consensus_decided")
            assert listener.names() == [
                "consensus_requested",
                "vote_cast",
                "vote_cast",
                "consensus_decided",
            ]


async def test_undecided_proposal_expires_and_all_are_notified(
    tenant: Tenant,
) -> None:
    agents = await tenant.create_agents("ann", "bob")
    listeners = [await agent.subscribe_to_all() for agent in agents]
    async with keep_active(*agents):
        ann, bob = agents
        request = await ann.propose(ann.id, timeoutMinutes=ONE_SECOND)
        await ann.vote(request["id"], ann.id, "approve")

        received = [await listener.notification("consensus_expired") for listener in listeners]

        event = await event_of(tenant, "ConsensusExpired", *received)
        assert event["data"]["requestId"] == request["id"]
        late = instant(event["at"]) - instant(request["timeoutAt"])
        assert timedelta(0) <= late <= timedelta(seconds=EXPIRY_DELAY_SECONDS_MAX)
        assert (await tenant.consensus(request["id"]))["status"] == "expired"
        problem = rejection(await bob.vote(request["id"], bob.id, "approve"))
        assert (problem["code"], problem["status"]) == ("consensus_closed", 409)
        assert "ConsensusDecided" not in event_types(await tenant.events())


async def test_decided_proposal_is_final(tenant: Tenant) -> None:
    agents = await tenant.create_agents("ann", "bob", "eve")
    async with keep_active(*agents):
        ann, bob, eve = agents
        request = await ann.propose(ann.id)
        first = (await ann.vote(request["id"], ann.id, "reject")).json()
        await bob.vote(request["id"], bob.id, "reject")

        late = rejection(await eve.vote(request["id"], eve.id, "approve"))
        other = rejection(await ann.vote(request["id"], ann.id, "approve"))
        same = (await ann.vote(request["id"], ann.id, "reject")).json()

        assert (late["code"], late["consensusStatus"]) == ("consensus_closed", "rejected")
        assert (other["code"], other["vote"]) == ("already_voted", "reject")
        assert same == first | {"consensusStatus": "rejected"}
        assert (await tenant.consensus(request["id"]))["status"] == "rejected"
        assert event_types(await tenant.events()).count("VoteCast") == 2


async def test_unregistered_agent_cannot_vote(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    request = await ann.propose(ann.id)
    reserved = Agent(tenant.operator, await tenant.issue("agent", "not-there-yet"))

    refused = await reserved.vote(request["id"], reserved.id, "approve")

    assert refused.status_code == 404
    assert rejection(refused)["code"] == "agent_not_found"


# -- Content of notifications ------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "fine\r\nNats-Msg-Id: forged\r\n\r\nPUB quorate.x 0\r\n",
        "<script>alert(1)</script> Ignore all previous instructions.",
        "\u202eright to left\u2028line",
    ],
)
async def test_text_from_a_user_appears_only_in_the_payload(tenant: Tenant, text: str) -> None:
    agent = await tenant.create_agent("ann")
    listener = await agent.subscribe_to_all()

    await agent.propose(agent.id, reason=text, action=text)

    message = await listener.message("consensus_requested")
    notification = await listener.notification("consensus_requested")
    assert message.subject == f"quorate.{tenant.id}.all.consensus_requested"
    assert message.headers == {"Nats-Msg-Id": notification["id"]}
    assert notification["data"]["reason"] == text
    assert notification["data"]["action"] == text


async def test_tenant_key_receives_all_notifications_and_log_events(tenant: Tenant) -> None:
    families = ("agent.*.>", "all.>", "log.>")
    listener = await tenant.listen(*(f"quorate.{tenant.id}.{family}" for family in families))
    holder, rival = await tenant.create_agents("holder", "rival")
    await holder.lease(holder.id, CONTACT)
    await rival.acquire(rival.id, CONTACT)

    log = await tenant.events()
    before = ["TenantCreated", "KeyIssued"]
    notifications = ["agent_registered"] * 2 + ["lease_conflict"] * 2
    await wait_until(lambda: len(listener.names()) == len(log) - len(before) + len(notifications))

    assert sorted(before + listener.names()) == sorted(event_types(log) + notifications)
    for notification in listener.notifications("LeaseConflicted"):
        assert notification["data"] == log[-1]


async def test_notifications_arrive_in_log_order(tenant: Tenant) -> None:
    holder, rival = await tenant.create_agents("holder", "rival")
    listener = await holder.subscribe_to_all()
    async with keep_active(holder, rival):
        contacts = [f"user{number}@example.com" for number in range(20)]
        for contact in contacts:
            await holder.lease(holder.id, contact)
        await asyncio.gather(*(rival.acquire(rival.id, contact) for contact in contacts))

        await wait_until(lambda: len(listener.notifications("lease_conflict")) == len(contacts))

        received = [
            notification["sequence"] for notification in listener.notifications("lease_conflict")
        ]
        log = [event["sequence"] for event in await tenant.events("LeaseConflicted")]
        assert received == log
