"""Everything that can be asked of the service, as data: what to send, and how to read the answer.

Nothing here speaks to anybody. An ``Ask`` can go over HTTP (method, path, parameters, body) or
over NATS (its name and one message), and is the same request either way: under one idempotency
key, the second to arrive is answered like the first.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from quorate.client.results import (
    AgentInfo,
    Config,
    ConsensusInfo,
    HeartbeatInfo,
    KeyInfo,
    LeaseInfo,
    NotificationPage,
    SendVerdict,
    TenantInfo,
    VoteInfo,
)
from quorate.domain.coordination import consensus, leases
from quorate.domain.coordination.consensus import Choice, Electorate
from quorate.domain.coordination.consensus import Status as ConsensusStatus
from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.api_keys import Role
from quorate.domain.shared.records import record

T = TypeVar("T")

AGENT = "/v1/agent"
COORDINATION = AGENT + "/coordination"
LEASE = COORDINATION + "/lease"
CONSENSUS = COORDINATION + "/consensus"
AGENTS = AGENT + "/agents"
KEYS = "/v1/keys"
# About keys and tenants, which is no agent's business: these go over HTTP alone.
_HTTP_ONLY = frozenset({"issueKey", "listKeys", "revokeKey", "getOwnKey", "createTenant"})


@record
class Ask(Generic[T]):
    """One request. ``name`` is the operation's, as in OpenAPI and in NATS subjects."""

    name: str
    method: str
    path: str
    parameters: Mapping[str, str | int | float]
    body: Mapping[str, Any] | None
    message: Mapping[str, Any]  # All of it in one JSON object, as NATS takes it.
    changes: bool  # A command: it takes an idempotency key.
    waits_seconds: float = 0.0  # How long the service may take its time.
    read: Callable[[Any], T]

    @property
    def over_nats(self) -> bool:
        """Whether an agent may ask this over NATS, and is answered at once."""
        return self.name not in _HTTP_ONLY and not self.waits_seconds


def _get(
    name: str,
    path: str,
    read: Callable[[Any], T],
    *,
    ids: Mapping[str, str] | None = None,
    waits_seconds: float = 0.0,
    **parameters: str | float | None,
) -> Ask[T]:
    asked = _given(parameters)
    return Ask(
        name=name,
        method="GET",
        path=path,
        parameters=asked,
        body=None,
        message={**asked, **(ids or {})},
        changes=False,
        waits_seconds=waits_seconds,
        read=read,
    )


def _command(
    name: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    read: Callable[[Any], T],
    **ids: str,
) -> Ask[T]:
    said = None if body is None else _given(body)
    return Ask(
        name=name,
        method=method,
        path=path,
        parameters={},
        body=said,
        message={**(said or {}), **ids},
        changes=True,
        read=read,
    )


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _by(who: AgentRef) -> dict[str, Any]:
    return {"agentId": who.id, "agentName": who.name}


def _in_path(id_: str) -> str:
    return quote(id_, safe="")


def _each(read: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    def read_all(answers: Sequence[Any]) -> list[T]:
        return [read(each) for each in answers]

    return read_all


def _nothing(_: object) -> None:
    """An answer that says no more than that it was done."""


# -- Agents ------------------------------------------------------------------


def register(name: str | None, role: str = "general") -> Ask[AgentInfo]:
    """Register an agent, or update it; an agent's own key may leave its name out."""
    body = {"agentName": name, "agentRole": role}
    return _command("register", "POST", AGENT + "/register", body, AgentInfo.read)


def heartbeat(who: AgentRef) -> Ask[HeartbeatInfo]:
    path = COORDINATION + "/heartbeat"
    return _command("heartbeat", "POST", path, _by(who), HeartbeatInfo.read)


def list_agents(*, after: str | None = None, limit: int | None = None) -> Ask[list[AgentInfo]]:
    return _get("listAgents", AGENTS, _each(AgentInfo.read), after=after, limit=limit)


def get_agent(agent_id: str) -> Ask[AgentInfo]:
    path = f"{AGENTS}/{_in_path(agent_id)}"
    return _get("getAgent", path, AgentInfo.read, ids={"agentId": agent_id})


def get_config(agent_id: str) -> Ask[Config]:
    path = f"{AGENTS}/{_in_path(agent_id)}/config"
    return _get("getConfig", path, dict, ids={"agentId": agent_id})


def put_config(agent_id: str, settings: Mapping[str, bool | str]) -> Ask[Config]:
    """Replace an agent's settings as a whole; keys that are not known are left out."""
    path = f"{AGENTS}/{_in_path(agent_id)}/config"
    return _command("putConfig", "PUT", path, settings, dict, agentId=agent_id)


# -- Leases ------------------------------------------------------------------


def acquire_lease(
    who: AgentRef,
    contact_email: str,
    *,
    intent: str = "general",
    duration_minutes: float = leases.DURATION_MINUTES_DEFAULT,
) -> Ask[LeaseInfo]:
    body = {
        **_by(who),
        "contactEmail": contact_email,
        "intent": intent,
        "durationMinutes": duration_minutes,
    }
    return _command("acquireLease", "POST", LEASE, body, LeaseInfo.read)


def renew_lease(
    lease_id: str, *, duration_minutes: float = leases.DURATION_MINUTES_DEFAULT
) -> Ask[LeaseInfo]:
    path = f"{LEASE}/{_in_path(lease_id)}/renew"
    body = {"durationMinutes": duration_minutes}
    return _command("renewLease", "POST", path, body, LeaseInfo.read, leaseId=lease_id)


def release_lease(lease_id: str) -> Ask[None]:
    path = f"{LEASE}/{_in_path(lease_id)}"
    return _command("releaseLease", "DELETE", path, None, _nothing, leaseId=lease_id)


def get_lease(lease_id: str) -> Ask[LeaseInfo]:
    path = f"{LEASE}/{_in_path(lease_id)}"
    return _get("getLease", path, LeaseInfo.read, ids={"leaseId": lease_id})


def list_leases(
    *,
    agent_id: str | None = None,
    contact_email: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Ask[list[LeaseInfo]]:
    return _get(
        "listLeases",
        COORDINATION + "/leases",
        _each(LeaseInfo.read),
        agentId=agent_id,
        contactEmail=contact_email,
        after=after,
        limit=limit,
    )


def request_send(
    who: AgentRef, contact_email: str, *, fence: int | None = None
) -> Ask[SendVerdict]:
    body = {**_by(who), "contactEmail": contact_email, "fence": fence}
    return _command("requestSend", "POST", AGENT + "/request-send", body, SendVerdict.read)


# -- Consensus ---------------------------------------------------------------


def request_consensus(
    who: AgentRef,
    *,
    action: str,
    contact_email: str,
    reason: str,
    timeout_minutes: float = consensus.TIMEOUT_MINUTES_DEFAULT,
    electorate: Electorate = "live",
    proposer_votes: bool = True,
    floor: float | None = None,
) -> Ask[ConsensusInfo]:
    body = {
        "requestingAgentId": who.id,
        "proposerAgent": who.name,
        "action": action,
        "contactEmail": contact_email,
        "reason": reason,
        "timeoutMinutes": timeout_minutes,
        "electorate": electorate,
        "proposerVotes": proposer_votes,
        "floor": floor,
    }
    return _command("requestConsensus", "POST", CONSENSUS, body, ConsensusInfo.read)


def get_consensus(consensus_id: str) -> Ask[ConsensusInfo]:
    path = f"{CONSENSUS}/{_in_path(consensus_id)}"
    return _get("getConsensus", path, ConsensusInfo.read, ids={"consensusId": consensus_id})


def list_consensus(
    *, status: ConsensusStatus | None = None, after: str | None = None, limit: int | None = None
) -> Ask[list[ConsensusInfo]]:
    return _get(
        "listConsensus",
        CONSENSUS,
        _each(ConsensusInfo.read),
        status=status,
        after=after,
        limit=limit,
    )


def list_votes(
    consensus_id: str, *, after: str | None = None, limit: int | None = None
) -> Ask[list[VoteInfo]]:
    return _get(
        "listVotes",
        f"{CONSENSUS}/{_in_path(consensus_id)}/votes",
        _each(VoteInfo.read),
        ids={"consensusId": consensus_id},
        after=after,
        limit=limit,
    )


def cast_vote(
    who: AgentRef, consensus_id: str, vote: Choice, reason: str | None = None
) -> Ask[VoteInfo]:
    path = f"{CONSENSUS}/{_in_path(consensus_id)}/vote"
    body = {**_by(who), "vote": vote, "reason": reason}
    return _command("castVote", "POST", path, body, VoteInfo.read, consensusId=consensus_id)


# -- Notifications -----------------------------------------------------------------


def list_notifications(
    who: AgentRef, *, after: int, limit: int | None = None, wait_seconds: float = 0.0
) -> Ask[NotificationPage]:
    """Notifications that concern an agent; with ``wait_seconds``, answered as soon as there is one."""
    return _get(
        "listNotifications",
        AGENT + "/notifications",
        NotificationPage.read,
        waits_seconds=wait_seconds,
        agentId=who.id,
        agentName=who.name,
        after=after,
        limit=limit,
        wait=wait_seconds or None,
    )


# -- Keys and tenants --------------------------------------------------------


def issue_key(
    role: Role, agent_name: str | None = None, tenant_id: str | None = None
) -> Ask[KeyInfo]:
    """A new key; its text is in the answer, this once."""
    body = {"tenantId": tenant_id, "role": role, "agentName": agent_name}
    return _command("issueKey", "POST", KEYS, body, KeyInfo.read)


def list_keys(
    *, tenant_id: str | None = None, after: str | None = None, limit: int | None = None
) -> Ask[list[KeyInfo]]:
    return _get("listKeys", KEYS, _each(KeyInfo.read), tenantId=tenant_id, after=after, limit=limit)


def revoke_key(key_id: str) -> Ask[None]:
    path = f"{KEYS}/{_in_path(key_id)}"
    return _command("revokeKey", "DELETE", path, None, _nothing, keyId=key_id)


def own_key() -> Ask[KeyInfo]:
    """The key that asks: whose it is, and what it may do."""
    return _get("getOwnKey", KEYS + "/self", KeyInfo.read)


def create_tenant(tenant_id: str) -> Ask[TenantInfo]:
    body = {"tenantId": tenant_id}
    return _command("createTenant", "POST", "/v1/tenants", body, TenantInfo.read)
