"""Requests as data: one function for each operation of the service, without I/O.

* A ``Request`` can be sent over HTTP (method, path, parameters, body) or over NATS (operation name
  and one message).
* Both forms are the same request. With one idempotency key the service carries it out once, and
  gives the second arrival the response of the first.

Each function returns a ``Request``; ``Client.execute`` sends it, and names the exceptions.

* ``agent`` may be ``AgentRef()`` for an agent key, which names its agent.
* Lists are pages: ``after`` is the id of the last item seen, ``limit`` the length of the page.

Source of the shapes and limits: the OpenAPI document of the service (``/openapi.json``).
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
from quorate.domain.identity.principals import Role
from quorate.domain.shared.records import record

T = TypeVar("T")

AGENT = "/v1/agent"
COORDINATION = AGENT + "/coordination"
LEASE = COORDINATION + "/lease"
CONSENSUS = COORDINATION + "/consensus"
AGENTS = AGENT + "/agents"
KEYS = "/v1/keys"
# Operations on keys and tenants are not for agents, so they are available over HTTP only.
_HTTP_ONLY = frozenset({"issueKey", "listKeys", "revokeKey", "getOwnKey", "createTenant"})


@record
class Request(Generic[T]):
    """One request to the service.

    * ``name``: the operation name, as in OpenAPI and in NATS subjects.
    * ``message``: all fields in one JSON object, the body of the request over NATS.
    * ``is_command``: whether the operation changes state; only these take an idempotency key.
    * ``long_poll_seconds``: how long the service may wait before it responds.
    * ``parse``: makes the typed result from the JSON of the response.
    """

    name: str
    method: str
    path: str
    parameters: Mapping[str, str | int | float]
    body: Mapping[str, Any] | None
    message: Mapping[str, Any]
    is_command: bool
    long_poll_seconds: float = 0.0
    parse: Callable[[Any], T]

    @property
    def can_use_nats(self) -> bool:
        """Whether the operation is available over NATS and needs no long poll."""
        return self.name not in _HTTP_ONLY and not self.long_poll_seconds


def _get(
    name: str,
    path: str,
    parse: Callable[[Any], T],
    *,
    ids: Mapping[str, str] | None = None,
    long_poll_seconds: float = 0.0,
    **parameters: str | float | None,
) -> Request[T]:
    given = _without_none(parameters)
    return Request(
        name=name,
        method="GET",
        path=path,
        parameters=given,
        body=None,
        message={**given, **(ids or {})},
        is_command=False,
        long_poll_seconds=long_poll_seconds,
        parse=parse,
    )


def _command(
    name: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    parse: Callable[[Any], T],
    **ids: str,
) -> Request[T]:
    given = None if body is None else _without_none(body)
    return Request(
        name=name,
        method=method,
        path=path,
        parameters={},
        body=given,
        message={**(given or {}), **ids},
        is_command=True,
        parse=parse,
    )


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _agent_fields(agent: AgentRef) -> dict[str, Any]:
    return {"agentId": agent.id, "agentName": agent.name}


def _quote(id_: str) -> str:
    return quote(id_, safe="")


def _list_of(parse: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    def parse_all(items: Sequence[Any]) -> list[T]:
        return [parse(item) for item in items]

    return parse_all


def _parse_nothing(_: object) -> None:
    """Ignore a response without a result."""


# -- Agents ------------------------------------------------------------------


def register(name: str | None, role: str = "general") -> Request[AgentInfo]:
    """Register an agent, or update the role of a registered one.

    With an agent key, ``name`` may be None: the key names the agent.
    """
    body = {"agentName": name, "agentRole": role}
    return _command("register", "POST", AGENT + "/register", body, AgentInfo.from_json)


def heartbeat(agent: AgentRef) -> Request[HeartbeatInfo]:
    """Send a heartbeat. An agent that timed out becomes active again."""
    path = COORDINATION + "/heartbeat"
    return _command("heartbeat", "POST", path, _agent_fields(agent), HeartbeatInfo.from_json)


def list_agents(*, after: str | None = None, limit: int | None = None) -> Request[list[AgentInfo]]:
    return _get("listAgents", AGENTS, _list_of(AgentInfo.from_json), after=after, limit=limit)


def get_agent(agent_id: str) -> Request[AgentInfo]:
    path = f"{AGENTS}/{_quote(agent_id)}"
    return _get("getAgent", path, AgentInfo.from_json, ids={"agentId": agent_id})


def get_config(agent_id: str) -> Request[Config]:
    path = f"{AGENTS}/{_quote(agent_id)}/config"
    return _get("getConfig", path, dict, ids={"agentId": agent_id})


def put_config(agent_id: str, config: Mapping[str, bool | str]) -> Request[Config]:
    """Replace the whole config of an agent. The service ignores unknown keys."""
    path = f"{AGENTS}/{_quote(agent_id)}/config"
    return _command("putConfig", "PUT", path, config, dict, agentId=agent_id)


# -- Leases ------------------------------------------------------------------


def acquire_lease(
    agent: AgentRef,
    contact_email: str,
    *,
    intent: str = "general",
    duration_minutes: float = leases.DURATION_MINUTES_DEFAULT,
) -> Request[LeaseInfo]:
    """Acquire the exclusive lease on a contact, for 1/60 to 1440 minutes.

    If the agent holds the contact already, this renews its lease, with the same id and fence.
    Rejected with LeaseConflictError or AgentInactiveError.
    """
    body = {
        **_agent_fields(agent),
        "contactEmail": contact_email,
        "intent": intent,
        "durationMinutes": duration_minutes,
    }
    return _command("acquireLease", "POST", LEASE, body, LeaseInfo.from_json)


def renew_lease(
    lease_id: str, *, duration_minutes: float = leases.DURATION_MINUTES_DEFAULT
) -> Request[LeaseInfo]:
    """Extend an active lease to ``duration_minutes`` from now. A renewal never shortens.

    Rejected with LeaseEndedError or LeaseNotFoundError.
    """
    path = f"{LEASE}/{_quote(lease_id)}/renew"
    body = {"durationMinutes": duration_minutes}
    return _command("renewLease", "POST", path, body, LeaseInfo.from_json, leaseId=lease_id)


def release_lease(lease_id: str) -> Request[None]:
    """Release a lease. The release of a lease that has ended succeeds too."""
    path = f"{LEASE}/{_quote(lease_id)}"
    return _command("releaseLease", "DELETE", path, None, _parse_nothing, leaseId=lease_id)


def get_lease(lease_id: str) -> Request[LeaseInfo]:
    path = f"{LEASE}/{_quote(lease_id)}"
    return _get("getLease", path, LeaseInfo.from_json, ids={"leaseId": lease_id})


def list_leases(
    *,
    agent_id: str | None = None,
    contact_email: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Request[list[LeaseInfo]]:
    return _get(
        "listLeases",
        COORDINATION + "/leases",
        _list_of(LeaseInfo.from_json),
        agentId=agent_id,
        contactEmail=contact_email,
        after=after,
        limit=limit,
    )


def request_send(
    agent: AgentRef, contact_email: str, *, fence: int | None = None
) -> Request[SendVerdict]:
    """Request permission to contact a person now. A block is a result: see ``SendVerdict``.

    ``fence`` is the fencing token of the lease. Rejected with AgentNotFoundError.
    """
    body = {**_agent_fields(agent), "contactEmail": contact_email, "fence": fence}
    return _command("requestSend", "POST", AGENT + "/request-send", body, SendVerdict.from_json)


# -- Consensus ---------------------------------------------------------------


def request_consensus(
    agent: AgentRef,
    *,
    action: str,
    contact_email: str,
    reason: str,
    timeout_minutes: float = consensus.TIMEOUT_MINUTES_DEFAULT,
    electorate: Electorate = "live",
    proposer_votes: bool = True,
    floor: float | None = None,
) -> Request[ConsensusInfo]:
    """Propose a risky action to the active agents; a majority of the electorate decides.

    ``Agent.propose`` describes the options. Rejected with AgentInactiveError.
    """
    body = {
        "requestingAgentId": agent.id,
        "proposerAgent": agent.name,
        "action": action,
        "contactEmail": contact_email,
        "reason": reason,
        "timeoutMinutes": timeout_minutes,
        "electorate": electorate,
        "proposerVotes": proposer_votes,
        "floor": floor,
    }
    return _command("requestConsensus", "POST", CONSENSUS, body, ConsensusInfo.from_json)


def get_consensus(consensus_id: str) -> Request[ConsensusInfo]:
    path = f"{CONSENSUS}/{_quote(consensus_id)}"
    return _get("getConsensus", path, ConsensusInfo.from_json, ids={"consensusId": consensus_id})


def list_consensus(
    *, status: ConsensusStatus | None = None, after: str | None = None, limit: int | None = None
) -> Request[list[ConsensusInfo]]:
    return _get(
        "listConsensus",
        CONSENSUS,
        _list_of(ConsensusInfo.from_json),
        status=status,
        after=after,
        limit=limit,
    )


def list_votes(
    consensus_id: str, *, after: str | None = None, limit: int | None = None
) -> Request[list[VoteInfo]]:
    return _get(
        "listVotes",
        f"{CONSENSUS}/{_quote(consensus_id)}/votes",
        _list_of(VoteInfo.from_json),
        ids={"consensusId": consensus_id},
        after=after,
        limit=limit,
    )


def cast_vote(
    agent: AgentRef, consensus_id: str, vote: Choice, reason: str | None = None
) -> Request[VoteInfo]:
    """Cast a vote. The first vote of an agent is final.

    Rejected with AlreadyVotedError, ConsensusClosedError or NotEligibleError.
    """
    path = f"{CONSENSUS}/{_quote(consensus_id)}/vote"
    body = {**_agent_fields(agent), "vote": vote, "reason": reason}
    return _command("castVote", "POST", path, body, VoteInfo.from_json, consensusId=consensus_id)


# -- Notifications -----------------------------------------------------------


def list_notifications(
    agent: AgentRef, *, after: int, limit: int | None = None, wait_seconds: float = 0.0
) -> Request[NotificationPage]:
    """List the notifications for an agent after the sequence ``after``.

    With ``wait_seconds`` > 0 this is a long poll: the service responds as soon as there is a
    notification, at the latest after this time.
    """
    return _get(
        "listNotifications",
        AGENT + "/notifications",
        NotificationPage.from_json,
        long_poll_seconds=wait_seconds,
        agentId=agent.id,
        agentName=agent.name,
        after=after,
        limit=limit,
        wait=wait_seconds or None,
    )


# -- Keys and tenants --------------------------------------------------------


def issue_key(
    role: Role, agent_name: str | None = None, tenant_id: str | None = None
) -> Request[KeyInfo]:
    """Issue an API key. Only this response contains the full key."""
    body = {"tenantId": tenant_id, "role": role, "agentName": agent_name}
    return _command("issueKey", "POST", KEYS, body, KeyInfo.from_json)


def list_keys(
    *, tenant_id: str | None = None, after: str | None = None, limit: int | None = None
) -> Request[list[KeyInfo]]:
    return _get(
        "listKeys", KEYS, _list_of(KeyInfo.from_json), tenantId=tenant_id, after=after, limit=limit
    )


def revoke_key(key_id: str) -> Request[None]:
    path = f"{KEYS}/{_quote(key_id)}"
    return _command("revokeKey", "DELETE", path, None, _parse_nothing, keyId=key_id)


def get_own_key() -> Request[KeyInfo]:
    """Get the key of the caller: its tenant, role and agent."""
    return _get("getOwnKey", KEYS + "/self", KeyInfo.from_json)


def create_tenant(tenant_id: str) -> Request[TenantInfo]:
    body = {"tenantId": tenant_id}
    return _command("createTenant", "POST", "/v1/tenants", body, TenantInfo.from_json)
