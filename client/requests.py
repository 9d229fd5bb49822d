"""Requests as data: one function for each operation of the service, without I/O.

``request_for`` makes the request of any operation from its declaration; the functions below are its
friendly forms.

Each function returns a ``Request``; ``Client.execute`` sends it, and names the exceptions.

* ``agent`` may be ``AgentRef()`` for an agent key, which names its agent.
* Lists are pages: ``after`` is the id of the last item seen, ``limit`` the length of the page.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quorate.client import operator_requests
from quorate.client.request_builder import Request, request_for
from quorate.client.results import Config, NotificationPage, parse_events_page
from quorate.contracts.coordination.consensus import (
    CANCEL_CONSENSUS,
    CAST_VOTE,
    GET_CONSENSUS,
    LIST_CONSENSUS,
    LIST_ELECTORATE,
    LIST_VOTES,
    REQUEST_CONSENSUS,
    CancelBody,
    ConsensusBody,
    ConsensusInfo,
    ConsensusQuery,
    VoteBody,
    VoteInfo,
    VoterInfo,
)
from quorate.contracts.coordination.leases import (
    ACQUIRE_LEASE,
    GET_LEASE,
    LIST_LEASES,
    RELEASE_LEASE,
    RENEW_LEASE,
    LeaseBody,
    LeaseInfo,
    LeasesQuery,
    Released,
    RenewBody,
)
from quorate.contracts.coordination.send_gate import REQUEST_SEND, SendBody, SendVerdict
from quorate.contracts.event_log import (
    LIST_EVENTS,
    EventsInfo,
    EventsQuery,
)
from quorate.contracts.identity.agent_settings import GET_CONFIG, PUT_CONFIG
from quorate.contracts.identity.agents import (
    DEREGISTER,
    GET_AGENT,
    HEARTBEAT,
    LIST_AGENTS,
    REGISTER,
    REMOVE_AGENT,
    AgentInfo,
    AgentsQuery,
    AgentStatus,
    DeregisterBody,
    DeregisteredInfo,
    HeartbeatBody,
    HeartbeatInfo,
    RegisterBody,
    RemovedInfo,
)
from quorate.contracts.notification_pages import LIST_NOTIFICATIONS, NotificationsQuery
from quorate.contracts.wire_models import (
    PAGE_LENGTH_DEFAULT,
    PageQuery,
    unchecked,
)
from quorate.domain.coordination import consensus, leases
from quorate.domain.coordination.consensus import Choice, Electorate
from quorate.domain.coordination.consensus import Status as ConsensusStatus
from quorate.domain.identity.agents import AgentRef
from quorate.domain.shared.records import changed

# -- Agents ------------------------------------------------------------------


def register(name: str | None, role: str = "general") -> Request[AgentInfo]:
    """Register an agent, or update the role of a registered one.

    With an agent key, ``name`` may be None: the key names the agent.
    """
    return request_for(REGISTER, unchecked(RegisterBody)(agent_name=name, agent_role=role))


def heartbeat(agent: AgentRef) -> Request[HeartbeatInfo]:
    """Send a heartbeat. An agent that timed out becomes active again."""
    body = unchecked(HeartbeatBody)(agent_id=agent.id, agent_name=agent.name)
    return request_for(HEARTBEAT, body)


def deregister(
    agent: AgentRef, *, incarnation: int | None = None, only_if_idle: bool = False
) -> Request[DeregisteredInfo]:
    """End an agent: its leases end, and it counts neither in electorates nor in quotas.

    ``incarnation`` keeps a later registration of the agent, ``only_if_idle`` an agent that holds a
    lease; the result is ``deregistered=False`` then. Rejected with AgentNotFoundError.
    """
    body = unchecked(DeregisterBody)(
        agent_id=agent.id,
        agent_name=agent.name,
        incarnation=incarnation,
        only_if_idle=only_if_idle,
    )
    return request_for(DEREGISTER, body)


def remove_agent(agent_id: str) -> Request[RemovedInfo]:
    """Remove the name of an agent that is not active and has no API key (tenant keys only)."""
    return request_for(REMOVE_AGENT, agent_id=agent_id)


def list_agents(
    *,
    status: AgentStatus | None = None,
    with_counts: bool = True,
    after: str | None = None,
    limit: int = PAGE_LENGTH_DEFAULT,
) -> Request[list[AgentInfo]]:
    """List agents; without a status, those that have not deregistered."""
    query = unchecked(AgentsQuery)(status=status, with_counts=with_counts, after=after, limit=limit)
    return request_for(LIST_AGENTS, query=query)


def get_agent(agent_id: str) -> Request[AgentInfo]:
    return request_for(GET_AGENT, agent_id=agent_id)


def get_config(agent_id: str) -> Request[Config]:
    request: Request[Any] = request_for(GET_CONFIG, agent_id=agent_id)
    return request


def put_config(agent_id: str, config: Mapping[str, bool | str]) -> Request[Config]:
    """Replace the whole config of an agent. The service ignores unknown keys."""
    request: Request[Any] = request_for(PUT_CONFIG, config, agent_id=agent_id)
    return request


# -- Leases ------------------------------------------------------------------


def acquire_lease(
    agent: AgentRef,
    contact_email: str,
    *,
    intent: str | None = None,
    duration_minutes: float = leases.DURATION_MINUTES_DEFAULT,
    holder: str | None = None,
) -> Request[LeaseInfo]:
    """Acquire the exclusive lease on a contact, for 1/60 to 1440 minutes.

    If the holder has the contact already, this renews its lease, with the same id and fence, and
    with its intent unless ``intent`` is another one. ``holder`` names an instance of the agent,
    such as this process: up to 64 letters, digits, ``.``, ``_``, ``:`` and ``-``. Requests of one
    agent with different holders exclude each other.

    Rejected with LeaseConflictError or AgentInactiveError, and with LeaseEndedError when the lease
    ended before a repeated request. A client raises LeaseLostError when the response arrives so
    late that the lease may have ended.
    """
    body = unchecked(LeaseBody)(
        agent_id=agent.id,
        agent_name=agent.name,
        contact_email=contact_email,
        intent=intent,
        duration_minutes=duration_minutes,
        holder=holder,
    )
    return request_for(ACQUIRE_LEASE, body)


def renew_lease(
    lease_id: str,
    *,
    duration_minutes: float = leases.DURATION_MINUTES_DEFAULT,
    holder: str | None = None,
) -> Request[LeaseInfo]:
    """Extend an active lease to ``duration_minutes`` from now. A renewal never shortens.

    Rejected with LeaseEndedError or LeaseNotFoundError; with LeaseConflictError if ``holder`` does
    not hold it. A client raises LeaseLostError for a response that arrives too late.
    """
    body = unchecked(RenewBody)(duration_minutes=duration_minutes, holder=holder)
    return request_for(RENEW_LEASE, body, lease_id=lease_id)


def release_lease(lease_id: str) -> Request[Released]:
    """Release a lease. The release of a lease that has ended succeeds too."""
    return request_for(RELEASE_LEASE, lease_id=lease_id)


def get_lease(lease_id: str) -> Request[LeaseInfo]:
    return request_for(GET_LEASE, lease_id=lease_id)


def list_leases(
    *,
    agent_id: str | None = None,
    contact_email: str | None = None,
    after: str | None = None,
    limit: int = PAGE_LENGTH_DEFAULT,
) -> Request[list[LeaseInfo]]:
    query = unchecked(LeasesQuery)(
        agent_id=agent_id, contact_email=contact_email, after=after, limit=limit
    )
    return request_for(LIST_LEASES, query=query)


def request_send(
    agent: AgentRef, contact_email: str, *, fence: int | None = None
) -> Request[SendVerdict]:
    """Request permission to contact a person now. A block is a result: see ``SendVerdict``.

    ``fence`` is the fencing token of the lease. Rejected with AgentNotFoundError.
    """
    body = unchecked(SendBody)(
        agent_id=agent.id, agent_name=agent.name, contact_email=contact_email, fence=fence
    )
    return request_for(REQUEST_SEND, body)


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
    body = unchecked(ConsensusBody)(
        requesting_agent_id=agent.id,
        proposer_agent=agent.name,
        action=action,
        contact_email=contact_email,
        reason=reason,
        timeout_minutes=timeout_minutes,
        electorate=electorate,
        proposer_votes=proposer_votes,
        floor=floor,
    )
    return request_for(REQUEST_CONSENSUS, body)


def get_consensus(consensus_id: str) -> Request[ConsensusInfo]:
    return request_for(GET_CONSENSUS, consensus_id=consensus_id)


def list_consensus(
    *,
    status: ConsensusStatus | None = None,
    after: str | None = None,
    limit: int = PAGE_LENGTH_DEFAULT,
) -> Request[list[ConsensusInfo]]:
    query = unchecked(ConsensusQuery)(status=status, after=after, limit=limit)
    return request_for(LIST_CONSENSUS, query=query)


def list_votes(
    consensus_id: str, *, after: str | None = None, limit: int = PAGE_LENGTH_DEFAULT
) -> Request[list[VoteInfo]]:
    query = unchecked(PageQuery)(after=after, limit=limit)
    return request_for(LIST_VOTES, query=query, consensus_id=consensus_id)


def cancel_consensus(
    agent: AgentRef, consensus_id: str, reason: str | None = None
) -> Request[ConsensusInfo]:
    """Cancel a pending proposal, as its proposer, or with a tenant key and ``AgentRef()``.

    Rejected with NotProposerError or ConsensusClosedError.
    """
    body = unchecked(CancelBody)(agent_id=agent.id, agent_name=agent.name, reason=reason)
    return request_for(CANCEL_CONSENSUS, body, consensus_id=consensus_id)


def list_electorate(
    consensus_id: str, *, after: str | None = None, limit: int = PAGE_LENGTH_DEFAULT
) -> Request[list[VoterInfo]]:
    """List who may vote on a pending proposal, and who has; after its end, who voted."""
    query = unchecked(PageQuery)(after=after, limit=limit)
    return request_for(LIST_ELECTORATE, query=query, consensus_id=consensus_id)


def cast_vote(
    agent: AgentRef, consensus_id: str, vote: Choice, reason: str | None = None
) -> Request[VoteInfo]:
    """Cast a vote. The first vote of an agent is final.

    Rejected with AlreadyVotedError, ConsensusClosedError or NotEligibleError.
    """
    body = unchecked(VoteBody)(agent_id=agent.id, agent_name=agent.name, vote=vote, reason=reason)
    return request_for(CAST_VOTE, body, consensus_id=consensus_id)


# -- Notifications and the event log -------------------------------------------


def list_notifications(
    agent: AgentRef,
    *,
    after: int,
    limit: int = PAGE_LENGTH_DEFAULT,
    wait_seconds: float = 0.0,
    log_id: str | None = None,
) -> Request[NotificationPage]:
    """List the notifications for an agent after the sequence ``after``.

    ``log_id`` is that of the page with this sequence: another log raises LogMismatchError.

    With ``wait_seconds`` > 0 this is a long poll: the service responds as soon as there is a
    notification, at the latest after this time.
    """
    query = unchecked(NotificationsQuery)(
        agent_id=agent.id, agent_name=agent.name, after=after, limit=limit, log_id=log_id
    )
    if wait_seconds:
        query = query.model_copy(update={"wait": wait_seconds})
    request: Request[Any] = request_for(LIST_NOTIFICATIONS, query=query)
    return changed(request, parse=NotificationPage.from_json)


def list_events(
    *,
    after: int = 0,
    limit: int = PAGE_LENGTH_DEFAULT,
    type: str | None = None,  # noqa: A002 - the name of the field.
    agent_id: str | None = None,
    log_id: str | None = None,
    contact_email: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Request[EventsInfo]:
    """List the events of the tenant's log after the sequence ``after`` that match all filters.

    ``since`` and ``until`` need a time zone; an event at ``until`` is left out. ``log_id`` is that
    of the page with this sequence: another log raises LogMismatchError.
    """
    query = unchecked(EventsQuery)(
        after=after,
        limit=limit,
        type=type,
        agent_id=agent_id,
        log_id=log_id,
        contact_email=contact_email,
        actor=actor,
        since=since,
        until=until,
    )
    return changed(request_for(LIST_EVENTS, query=query), parse=parse_events_page)


# -- Keys, tenants and quotas ---------------------------------------------------

create_tenant = operator_requests.create_tenant
list_contents = operator_requests.list_contents
end_lease = operator_requests.end_lease
end_consensus = operator_requests.end_consensus
deactivate_agent = operator_requests.deactivate_agent
explain = operator_requests.explain
get_own_key = operator_requests.get_own_key
get_quotas = operator_requests.get_quotas
get_tenant = operator_requests.get_tenant
issue_key = operator_requests.issue_key
list_keys = operator_requests.list_keys
list_tenants = operator_requests.list_tenants
resume_tenant = operator_requests.resume_tenant
revoke_key = operator_requests.revoke_key
rotate_key = operator_requests.rotate_key
set_tenant_limits = operator_requests.set_tenant_limits
get_mail_domain = operator_requests.get_mail_domain
set_mail_domain = operator_requests.set_mail_domain
suspend_tenant = operator_requests.suspend_tenant
pause_tenant = operator_requests.pause_tenant
unpause_tenant = operator_requests.unpause_tenant
