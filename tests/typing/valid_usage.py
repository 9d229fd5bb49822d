"""Valid uses of the SDK, as in the documentation. A type checker reports no error.

`assert_type` checks the inferred types. This program is never run.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, assert_type

from quorate.client import (
    Agent,
    AgentInfo,
    ClientConfig,
    ConflictError,
    ConsensusInfo,
    ConsensusRequested,
    Gap,
    HeartbeatInfo,
    HolderInfo,
    Lease,
    LeaseConflict,
    LeaseConflictError,
    LeaseInfo,
    LeaseLostError,
    Mailbox,
    MailMessage,
    MailTimeoutError,
    NotFoundError,
    Notification,
    NotificationData,
    PolicyInfo,
    QuorateError,
    RejectedError,
    SendVerdict,
    SentInfo,
    TaskFailedError,
    ThreadPage,
    UnauthorizedError,
    UnavailableError,
    UnknownNotification,
    VoteInfo,
)
from quorate.contracts.coordination.leases import GET_LEASE, LIST_LEASES, LeasesQuery
from quorate.contracts.coordination.send_gate import SendReason
from quorate.contracts.identity.agents import GET_AGENT


async def connect() -> None:
    async with Agent.connect() as agent:
        assert_type(agent, Agent)
    async with Agent.connect("http://127.0.0.1:8420", "qk_key", name="ann", role="outbound"):
        pass
    async with Agent.connect(
        url="http://127.0.0.1:8420",
        api_key="qk_key",
        name=None,
        nats_url="nats://127.0.0.1:4222",
        after=17,
        config=ClientConfig(timeout_seconds=5),
    ) as agent:
        assert_type(agent.id, str)
        assert_type(agent.name, str)
        assert_type(agent.tenant_id, str)
        assert_type(agent.incarnation, int)
        assert_type(agent.is_active, bool)
        assert_type(agent.cursor, int)


async def hold_lease(agent: Agent) -> int:
    async with agent.lease("user@example.com") as lease:
        assert_type(lease, Lease)
        assert_type(lease.id, str)
        assert_type(lease.fence, int)
        assert_type(lease.contact_email, str)
        assert_type(lease.expires_at, datetime)
        assert_type(lease.is_held, bool)
        assert_type(lease.remaining_seconds, float)
        assert_type(await lease.request_send(), SendVerdict)
        await lease.renew()
        await lease.release()
    async with agent.lease(
        "user@example.com", intent="renewal", duration_minutes=0.5, wait_seconds=60
    ) as lease:
        return lease.fence


async def handle_errors(agent: Agent) -> str | None:
    """Each exception has its own class and typed attributes."""
    try:
        async with agent.lease("user@example.com"):
            pass
    except LeaseConflictError as conflict:
        assert_type(conflict.holder, HolderInfo | None)
        return conflict.holder.agent_name if conflict.holder else None
    except LeaseLostError as lost:
        return str(lost)
    except (UnauthorizedError, NotFoundError, ConflictError, UnavailableError) as failure:
        return str(failure)
    except RejectedError as rejection:
        assert_type(rejection.code, str)
        assert_type(rejection.status, int)
        assert_type(rejection.details, dict[str, Any])
        return rejection.detail
    return None


async def use_send_gate(agent: Agent) -> None:
    verdict = await agent.request_send("user@example.com", fence=7)
    assert_type(verdict.authorized, bool)
    assert_type(verdict.reason, SendReason | None)
    if verdict.holder is not None:
        assert_type(verdict.holder.expires_at, datetime)


async def decide(agent: Agent) -> None:
    proposal = await agent.propose("pause outreach", "ceo@bigcorp.com", "fatigue is high")
    assert_type(proposal.id, str)
    await agent.propose(
        "pause outreach",
        "ceo@bigcorp.com",
        "fatigue is high",
        timeout_minutes=5,
        electorate="live",
        proposer_votes=False,
        floor=0.5,
    )
    vote = await agent.vote(proposal.id, "approve", reason="agreed")
    assert_type(vote, VoteInfo)
    assert_type(vote.vote, Literal["approve", "reject"])
    outcome = await proposal.wait_for_decision(timeout_seconds=30)
    assert_type(outcome, ConsensusInfo)
    assert_type(outcome.status, Literal["pending", "approved", "rejected", "expired", "cancelled"])


async def read_notifications(agent: Agent) -> None:
    async for notification in agent.notifications(after=agent.cursor):
        assert_type(notification, Notification)
        assert_type(notification.name, str)
        assert_type(notification.sequence, int)
        assert_type(notification.time, datetime | None)
        match notification.data:
            case LeaseConflict(lease_holder=holder, contact_email=contact):
                assert_type(holder, HolderInfo)
                assert_type(contact, str)
            case Gap(until=until):
                assert_type(until, int)
            case UnknownNotification(data=data):
                assert_type(data, Mapping[str, Any])
            case data:
                assert_type(data, NotificationData)
        if isinstance(notification.data, ConsensusRequested):
            assert_type(notification.data.timeout_at, datetime)
        assert_type(notification.raw, Mapping[str, Any])


async def use_mail(agent: Agent, lease: Lease) -> str | None:
    assert_type(agent.mail, Mailbox)
    sent = await agent.mail.send("bob", "Hello", "one", cc=["eve"], importance="urgent")
    assert_type(sent, SentInfo)
    await agent.mail.send(["kim@example.com"], "Offer", "one", lease=lease, in_reply_to="msg_1")
    async for message in agent.mail.incoming(since=17, kind="TASK"):
        assert_type(message, MailMessage)
        assert_type(message.task_id, str | None)
        assert_type(await agent.mail.reply(message, "{}", kind="RESULT", reply_all=True), SentInfo)
        assert_type(await agent.mail.star(message), bool)
    assert_type(await agent.mail.thread("thr_1", order="desc"), ThreadPage)
    assert_type((await agent.mail.account()).rate_limits.hourly.remaining, int)
    assert_type(await agent.mail.set_policy("closed"), PolicyInfo)
    collected = await agent.mail.collect([("bob", {"name": "Count"})])
    assert_type(collected, list[MailMessage | QuorateError])
    try:
        answer = await agent.mail.request("bob", {"name": "Count"}, timeout_seconds=5)
    except TaskFailedError as failed:
        assert_type(failed.answer, MailMessage)
    except MailTimeoutError as late:
        assert_type(late.seconds, float)
    else:
        return answer.body_text
    return None


async def remaining_methods(agent: Agent) -> None:
    assert_type(await agent.heartbeat(), HeartbeatInfo)
    config = await agent.update_config({"voice": "calm", "weekends": False})
    assert_type(config, dict[str, bool | str])
    assert_type(await agent.get_config(), dict[str, bool | str])
    assert_type(await agent.call(GET_AGENT, agent_id=agent.id), AgentInfo)
    assert_type(await agent.call(GET_LEASE, lease_id="id", timeout_seconds=5), LeaseInfo)
    query = LeasesQuery(agent_id=agent.id)
    assert_type(await agent.call(LIST_LEASES, query=query), list[LeaseInfo])
