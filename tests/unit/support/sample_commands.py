"""Sample agents, contacts, keys and commands.

An agent named ``ann`` has the id ``agent_ann``. Agents use their own keys unless a test passes
another caller.
"""

from quorate.domain.coordination.cancellations import CancelConsensus
from quorate.domain.coordination.consensus import CastVote, Choice, Electorate, RequestConsensus
from quorate.domain.coordination.lease_grants import AcquireLease, RenewLease
from quorate.domain.coordination.leases import ReleaseLease
from quorate.domain.coordination.send_gate import RequestSend
from quorate.domain.identity.agent_departures import DeregisterAgent
from quorate.domain.identity.agent_settings import ConfigureAgent, Settings
from quorate.domain.identity.agents import AgentRef, Heartbeat, RegisterAgent
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.email_addresses import EmailAddress

KIM = EmailAddress(email="Kim@example.com", key="kim@example.com")
LEE = EmailAddress(email="lee@example.com", key="lee@example.com")

ITSELF = AgentRef()


def id_of(name: str) -> str:
    return f"agent_{name}"


def key_of(name: str) -> Principal:
    """The key of one agent."""
    return Principal(
        key_id=f"key{name}", role="agent", tenant="acme", agent_id=id_of(name), agent_name=name
    )


TENANT_KEY = Principal(key_id="keytenant", role="tenant", tenant="acme")
ADMIN_KEY = Principal(key_id="keyadmin", role="admin", tenant="_operators")
AUDITOR_KEY = Principal(key_id="keyauditor", role="auditor", tenant="acme")
MAIL_KEY = Principal(key_id="keymail", role="mail", tenant="acme")

# -- Commands ------------------------------------------------------------------


def register(name: str, *, role: str = "general", by: Principal = TENANT_KEY) -> RegisterAgent:
    return RegisterAgent(caller=by, agent_name=name, agent_role=role, new_agent_id=id_of(name))


def heartbeat(name: str) -> Heartbeat:
    return Heartbeat(caller=key_of(name), agent=ITSELF)


def deregister(
    name: str,
    *,
    by: Principal | None = None,
    incarnation: int | None = None,
    only_if_idle: bool = False,
) -> DeregisterAgent:
    return DeregisterAgent(
        caller=key_of(name) if by is None else by,
        agent=ITSELF if by is None else AgentRef(name=name),
        incarnation=incarnation,
        only_if_idle=only_if_idle,
    )


def acquire(
    name: str,
    contact: EmailAddress = KIM,
    *,
    lease: str = "new-lease",
    minutes: float = 30,
    intent: str | None = None,
    holder: str | None = None,
) -> AcquireLease:
    return AcquireLease(
        caller=key_of(name),
        agent=ITSELF,
        contact=contact,
        intent=intent,
        duration_minutes=minutes,
        new_lease_id=lease,
        holder=holder,
    )


def renew(
    lease: str, *, by: Principal, minutes: float = 30, holder: str | None = None
) -> RenewLease:
    return RenewLease(caller=by, lease_id=lease, duration_minutes=minutes, holder=holder)


def release(lease: str, *, by: Principal) -> ReleaseLease:
    return ReleaseLease(caller=by, lease_id=lease)


def send(name: str, contact: EmailAddress = KIM, *, fence: int | None = None) -> RequestSend:
    return RequestSend(
        caller=key_of(name), agent=ITSELF, contact=contact, fence=fence, new_send_id="send"
    )


def propose(
    name: str,
    *,
    request: str = "request",
    minutes: float = 5,
    electorate: Electorate = "live",
    proposer_votes: bool = True,
    floor: str | None = None,
) -> RequestConsensus:
    return RequestConsensus(
        caller=key_of(name),
        agent=ITSELF,
        action="pause outreach",
        contact=KIM,
        reason="Fatigue scores are high",
        timeout_minutes=minutes,
        electorate=electorate,
        proposer_votes=proposer_votes,
        floor=floor,
        new_request_id=request,
    )


def vote(
    name: str, choice: Choice, *, request: str = "request", reason: str | None = None
) -> CastVote:
    return CastVote(
        caller=key_of(name),
        agent=ITSELF,
        request_id=request,
        vote=choice,
        reason=reason,
        new_vote_id=f"vote-{name}",
    )


def cancel(
    name: str | None,
    *,
    request: str = "request",
    reason: str | None = None,
    by: Principal | None = None,
) -> CancelConsensus:
    """Cancel as an agent, or with the tenant's key alone when ``name`` is None."""
    caller = by or (TENANT_KEY if name is None else key_of(name))
    agent = ITSELF if by is None or name is None else AgentRef(name=name)
    return CancelConsensus(caller=caller, agent=agent, request_id=request, reason=reason)


def configure(name: str, settings: Settings, *, by: Principal = TENANT_KEY) -> ConfigureAgent:
    return ConfigureAgent(caller=by, agent_id=id_of(name), settings=settings)
