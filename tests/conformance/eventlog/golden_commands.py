"""Commands that produce every event type, for a log with sequential ids and a fixed clock.

Their log is known byte for byte (``golden/log.<n>.jsonl``). Every database and process gives the
same lines, however the commands are batched. Nothing here uses a default that another test may
change.
"""

import asyncio

from quorate.domain.coordination.cancellations import CancelConsensus
from quorate.domain.coordination.consensus import CastVote, Choice, RequestConsensus
from quorate.domain.coordination.lease_grants import AcquireLease, RenewLease
from quorate.domain.coordination.leases import ReleaseLease
from quorate.domain.coordination.send_gate import RequestSend
from quorate.domain.identity.agent_departures import DeregisterAgent, RemoveAgent
from quorate.domain.identity.agent_settings import ConfigureAgent
from quorate.domain.identity.agents import AgentRef, Heartbeat, RegisterAgent
from quorate.domain.identity.api_keys import IssueKey, RevokeKey, RotateKey
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import (
    CreateTenant,
    PauseTenant,
    ResumeTenant,
    SetTenantLimits,
    SuspendTenant,
    TenantLimits,
    UnpauseTenant,
)
from quorate.domain.mail.domains import SetMailDomain
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.state import Command
from tests.conformance.eventlog.conformance import Stage
from tests.conformance.eventlog.golden_conversations import conversation_story
from tests.conformance.eventlog.golden_lists import list_story
from tests.conformance.eventlog.golden_mail import mail_story
from tests.conformance.eventlog.golden_schedules import schedule_story
from tests.conformance.eventlog.golden_sessions import session_story
from tests.conformance.eventlog.golden_tasks import task_story

# Text with several JSON encodings: quotes, control characters, non-ASCII, outside the BMP.
TEXT = 'Zoë \N{ROCKET} said "no\\maybe"\n\t\x01\x7f\N{LINE SEPARATOR}<script>'
KIM = EmailAddress(email="Kim@Example.com", key="kim@example.com")
LEE = EmailAddress(email="lee@bücher.example", key="lee@xn--bcher-kva.example")
OPERATOR = Principal(key_id="0123456789abcdef", role="admin", tenant="_operators")
CALLER = Principal(key_id="fedcba9876543210", role="tenant", tenant="acme")


def id_of(name: str) -> str:
    return f"agent_00000000-0000-7000-8000-{name:0>12}"


def _register(name: str, role: str) -> Command:
    return RegisterAgent(caller=CALLER, agent_name=name, agent_role=role, new_agent_id=id_of(name))


def _acquire(
    name: str, contact: EmailAddress, lease: str, minutes: float, holder: str | None = None
) -> Command:
    return AcquireLease(
        caller=CALLER,
        agent=AgentRef(name=name),
        contact=contact,
        intent=TEXT,
        duration_minutes=minutes,
        new_lease_id=lease,
        holder=holder,
    )


def _send(name: str, send: str, fence: int | None) -> Command:
    agent = AgentRef(id=id_of(name))
    return RequestSend(caller=CALLER, agent=agent, contact=KIM, fence=fence, new_send_id=send)


def _vote(name: str, request: str, choice: Choice, reason: str | None) -> Command:
    return CastVote(
        caller=CALLER,
        agent=AgentRef(name=name),
        request_id=request,
        vote=choice,
        reason=reason,
        new_vote_id=f"vote-{request}-{name}",
    )


# Minutes since the previous command, and the command.
STORY: tuple[tuple[float, Command], ...] = (
    (0, CreateTenant(tenant_id="acme")),
    (
        0,
        IssueKey(
            caller=OPERATOR,
            key_id="aaaaaaaaaaaaaaaa",
            role="agent",
            secret_hash="5e" * 32,
            agent_name="Cid",
            new_agent_id=id_of("cid"),
        ),
    ),
    (
        0,
        IssueKey(
            caller=OPERATOR,
            key_id="bbbbbbbbbbbbbbbb",
            role="auditor",
            secret_hash="a5" * 32,
            new_agent_id="",
        ),
    ),
    (0.5, _register("ann", "outbound sales")),
    (0, _register("bob", TEXT)),
    (0, _register("cid", "support")),
    (0.5, _register("ANN", "support")),
    (0, _acquire("ann", KIM, "lease-1", 30)),
    (0, _acquire("bob", KIM, "lease-2", 30)),  # Rejected and recorded.
    (0, _acquire("bob", LEE, "lease-3", 1 / 60, "first")),
    (0, _send("ann", "send-1", fence=8)),
    (0, _send("ann", "send-2", fence=None)),
    (0, _send("bob", "send-3", fence=None)),  # Blocked by the lease.
    (0, _send("ann", "send-4", fence=7)),  # Blocked by the fence.
    (0.25, RenewLease(caller=CALLER, lease_id="lease-1", duration_minutes=0.1)),  # Not shorter.
    (0, RenewLease(caller=CALLER, lease_id="lease-1", duration_minutes=60.00001)),
    (0, RecordDue(aggregate="lease", id="lease-3")),
    (
        0,
        ConfigureAgent(
            caller=CALLER,
            agent_id=id_of("bob"),
            settings={"humanizer_style": TEXT, "humanizer_enabled": False},
        ),
    ),
    (
        0.25,
        RequestConsensus(
            caller=CALLER,
            agent=AgentRef(name="ann"),
            action=TEXT,
            contact=LEE,
            reason=TEXT,
            timeout_minutes=5,
            new_request_id="request-1",
        ),
    ),
    (0, _vote("ann", "request-1", "approve", None)),
    (0, _vote("ann", "request-1", "reject", None)),  # Rejected: she has voted.
    (0, _vote("cid", "request-1", "approve", TEXT)),
    (
        0,
        RequestConsensus(
            caller=CALLER,
            agent=AgentRef(name="bob"),
            action="merge accounts",
            contact=KIM,
            reason="duplicate",
            timeout_minutes=0.5,
            electorate="snapshot",
            proposer_votes=False,
            floor="0.75",
            new_request_id="request-2",
        ),
    ),
    (0, _vote("cid", "request-2", "reject", None)),
    (2, Heartbeat(caller=CALLER, agent=AgentRef(name="bob"))),
    (0, RecordDue(aggregate="consensus", id="request-2")),
    (0, _acquire("bob", LEE, "lease-4", 1440)),
    (0, ReleaseLease(caller=CALLER, lease_id="lease-4")),
    (4, RecordDue(aggregate="agent", id=id_of("ann"))),  # Her lease on Kim ends too.
    (0, RevokeKey(caller=OPERATOR, key_id="bbbbbbbbbbbbbbbb")),
    (0, _acquire("bob", KIM, "lease-5", 0.5)),
    (0, _register("dora", "support")),
    (
        0,
        RequestConsensus(
            caller=CALLER,
            agent=AgentRef(name="dora"),
            action="archive",
            contact=KIM,
            reason=TEXT,
            timeout_minutes=5,
            new_request_id="request-4",
        ),
    ),
    (
        0,
        CancelConsensus(
            caller=CALLER, agent=AgentRef(name="dora"), request_id="request-4", reason=TEXT
        ),
    ),
    (0, DeregisterAgent(caller=CALLER, agent=AgentRef(name="dora"))),
    (0, RemoveAgent(agent_id=id_of("dora"))),
    (0, SetTenantLimits(tenant_id="acme", limits=TenantLimits(agents=100, rate_per_key=5))),
    (0, SuspendTenant(tenant_id="acme")),
    (0, ResumeTenant(tenant_id="acme")),
    (
        0,
        RotateKey(
            caller=OPERATOR,
            key_id="aaaaaaaaaaaaaaaa",
            agent_id=id_of("cid"),
            new_key_id="cccccccccccccccc",
            secret_hash="c3" * 32,
            overlap_seconds=3_600,
            expires_in_seconds=86_400,
        ),
    ),
    (0, _register("eve", "sales")),
    (0, _register("fay", "sales")),
    *mail_story(CALLER, OPERATOR, "eve", "fay", TEXT),
    *session_story(CALLER),
    (0, _register("gil", "sales")),
    *list_story(CALLER, AgentRef(name="gil")),
    *task_story(),
    *schedule_story(CALLER, "gil"),
    (0, SetMailDomain(tenant_id="acme", domain="a.example", service_domain="agents.localhost")),
    (0, SetMailDomain(tenant_id="acme", domain="b.example", service_domain="agents.localhost")),
    *conversation_story(CALLER, "eve", "fay", TEXT),
    (0, PauseTenant(tenant_id="acme", detail=TEXT)),
    (0, UnpauseTenant(tenant_id="acme", detail=TEXT)),
)


async def tell(stage: Stage) -> None:
    """Submit one command after the other."""
    for minutes, command in STORY:
        stage.clock.move(minutes=minutes)
        await stage.submit(command)


async def tell_at_once(stage: Stage) -> None:
    """Submit all commands of one time together, in one batch."""
    pending: list[asyncio.Task[object]] = []
    for minutes, command in STORY:
        if minutes and pending:
            await asyncio.gather(*pending)
            pending.clear()
        stage.clock.move(minutes=minutes)
        pending.append(stage.start(command))
    await asyncio.gather(*pending)
