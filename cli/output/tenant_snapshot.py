"""State of a tenant at one time: agents, leases held, consensus proposals, mail, sessions.

Timeouts and expirations take effect at their deadline, before the log records them. The domain
rules decide this, so the result equals the HTTP API's.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from quorate.cli.output.console import print_table
from quorate.cli.output.mail_snapshot import print_threads, take_threads
from quorate.cli.output.session_snapshot import print_session_state, take_session_state
from quorate.domain.coordination.consensus import CONSENSUS, Choice, ConsensusRequest, Vote
from quorate.domain.coordination.leases import LEASES, Lease
from quorate.domain.coordination.status import lease_status, request_status
from quorate.domain.identity.agents import AGENTS, Agent
from quorate.domain.identity.tenants import TENANTS, THE_TENANT
from quorate.domain.mail.accounts import MAIL_ACCOUNTS
from quorate.domain.sessions.tasks import TASKS
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp, iso

if TYPE_CHECKING:
    from quorate.cli.audit.history import History

Json: TypeAlias = dict[str, Any]
CHOICES: tuple[Choice, ...] = get_args(Choice)
APPROVE, REJECT = CHOICES
_SECOND_WIDTH = len("2026-03-01T12:00:00")


def take_snapshot(history: "History") -> Json:
    """Return the state as JSON with the field names of the HTTP API."""
    tenant_state, at = history.tenant_state, history.at
    held = [lease for lease in tenant_state[LEASES].values() if _valid(lease, tenant_state, at)]
    held.sort(key=lambda lease: lease.contact_key)
    leases = Counter(lease.agent_id for lease in held)
    tasks = Counter(
        one.claim.worker_id
        for one in tenant_state[TASKS].values()
        if one.claim is not None and one.claim.expires_at > at
    )
    hidden = {"reserved", "deregistered", "removed"}
    registered = [one for one in tenant_state[AGENTS].values() if one.status not in hidden]
    registered.sort(key=lambda agent: agent.name.lower())
    requests = sorted(tenant_state[CONSENSUS].values(), key=lambda one: (one.created_at, one.id))
    return {
        "tenantId": tenant.id if (tenant := tenant_state[TENANTS].get(THE_TENANT)) else None,
        "sequence": history.sequence,
        "at": iso(at),
        "agents": [
            {
                **_agent(agent, at),
                "leasesHeld": leases[agent.id],
                "tasksClaimed": tasks[agent.id],
                "unreadMail": _unread_mail(agent, tenant_state),
            }
            for agent in registered
        ],
        "leases": [_lease(lease, tenant_state) for lease in held],
        "consensus": [_request(request, tenant_state, at) for request in requests],
        "threads": take_threads(tenant_state),
        **take_session_state(tenant_state),
    }


def _valid(lease: Lease, tenant_state: TenantState, at: Timestamp) -> bool:
    return lease_status(lease, tenant_state[AGENTS].get(lease.agent_id), at) == "active"


def _unread_mail(agent: Agent, tenant_state: TenantState) -> int:
    account = tenant_state[MAIL_ACCOUNTS].get(agent.id)
    return 0 if account is None else account.unread


def _agent(agent: Agent, at: Timestamp) -> Json:
    return {
        "id": agent.id,
        "agentName": agent.name,
        "agentRole": agent.role,
        "status": "active" if agent.is_active(at) else "inactive",
        "lastHeartbeat": iso(agent.last_heartbeat),
        "activeUntil": iso(agent.active_until),
        "registeredAt": iso(agent.registered_at),
        "incarnation": agent.incarnation,
    }


def _lease(lease: Lease, tenant_state: TenantState) -> Json:
    return {
        "id": lease.id,
        "contactEmail": lease.contact_email,
        "agentId": lease.agent_id,
        "agentName": tenant_state[AGENTS][lease.agent_id].name,
        "intent": lease.intent,
        "createdAt": iso(lease.created_at),
        "expiresAt": iso(lease.expires_at),
        "fence": lease.fence,
    }


def _request(request: ConsensusRequest, tenant_state: TenantState, at: Timestamp) -> Json:
    choices = [vote.vote for vote in request.votes.values()]
    found: Json = {
        "id": request.id,
        "requestingAgentId": request.agent_id,
        "action": request.action,
        "contactEmail": request.contact_email,
        "reason": request.reason,
        "status": request_status(request, at),
        "createdAt": iso(request.created_at),
        "timeoutAt": iso(request.timeout_at),
        "approvals": choices.count(APPROVE),
        "rejections": choices.count(REJECT),
        "votes": [_vote(vote, tenant_state) for vote in request.votes.values()],
    }
    if request.closed_at is not None:
        found["closedAt"] = iso(request.closed_at)
    if (tally := request.tally) is not None:
        found["decision"] = {
            "approvals": tally.approvals,
            "rejections": tally.rejections,
            "electorateSize": tally.electorate_size,
        }
    return found


def _vote(vote: Vote, tenant_state: TenantState) -> Json:
    return {
        "id": vote.id,
        "agentId": vote.agent_id,
        "agentName": tenant_state[AGENTS][vote.agent_id].name,
        "vote": vote.vote,
        "reason": vote.reason,
        "createdAt": iso(vote.created_at),
    }


# -- Tables --------------------------------------------------------------------


def print_tables(found: Json) -> None:
    position = f"after event {found['sequence']}, at {found['at']}"
    print(f"Tenant {found['tenantId'] or 'unknown'} {position}\n")
    print_table(
        "Agents",
        ("name", "role", "status", "last heartbeat", "leases", "tasks", "unread"),
        [
            (
                agent["agentName"],
                agent["agentRole"],
                agent["status"],
                _format_time(agent["lastHeartbeat"]),
                *(str(agent[name]) for name in ("leasesHeld", "tasksClaimed", "unreadMail")),
            )
            for agent in found["agents"]
        ],
    )
    print_table(
        "Leases held",
        ("contact", "holder", "intent", "expires", "fence"),
        [
            (
                lease["contactEmail"],
                lease["agentName"],
                lease["intent"],
                _format_time(lease["expiresAt"]),
                str(lease["fence"]),
            )
            for lease in found["leases"]
        ],
    )
    print_table(
        "Votes",
        ("action", "contact", "status", *CHOICES, "of", "voters"),
        [_request_row(request) for request in found["consensus"]],
    )
    print_threads(found["threads"])
    print_session_state(found)


def _request_row(request: Json) -> tuple[str, ...]:
    counts = request.get("decision", request)
    voters = ", ".join(f"{vote['agentName']}: {vote['vote']}" for vote in request["votes"])
    return (
        request["action"],
        request["contactEmail"],
        request["status"],
        str(counts["approvals"]),
        str(counts["rejections"]),
        str(counts.get("electorateSize", "")),
        voters,
    )


def _format_time(time: str) -> str:
    """Format a time to the second, for a table."""
    return time[:_SECOND_WIDTH].replace("T", " ")
