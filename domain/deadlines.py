"""What time alone brings about: expiries, lapses and timeouts.

Nothing here waits for a timer. Before a command is decided, whatever is due among the things it
names is recorded first, so that timer and command find the same facts, each at most once. Facts
that fell due while nobody looked are recorded in the order in which they fell due: a lease that
ran out before its holder lapsed has expired, one that would have run on is revoked.
"""

from collections.abc import Iterator
from typing import TypeAlias

from quorate.domain.commands import Names
from quorate.domain.coordination import consensus, leases
from quorate.domain.coordination.consensus import ConsensusRequest
from quorate.domain.coordination.leases import Lease
from quorate.domain.events import Event
from quorate.domain.identity.agents import Agent, AgentLapsed
from quorate.domain.shared.timestamps import Timestamp
from quorate.domain.tenant_state import TenantState

# When it fell due; what goes first at one instant, and under which id; the events.
Due: TypeAlias = tuple[Timestamp, int, str, list[Event]]


def settle(names: Names, tenant_state: TenantState, now: Timestamp) -> list[Event]:
    """The events that are due among what is named, oldest due first."""
    named = list(_named_leases(names, tenant_state))
    lapsed = [agent for agent in _named_agents(names, named, tenant_state) if agent.overdue(now)]
    if not lapsed and not names.requests and all(now < lease.expires_at for lease in named):
        return []  # As nearly always.
    ended_by_lapse = {agent.id for agent in lapsed}
    due = [fact for agent in lapsed for fact in _lapse(agent, tenant_state)]
    due += [
        _expiry(lease)
        for lease in named
        if now >= lease.expires_at and lease.agent_id not in ended_by_lapse
    ]
    for request_id in names.requests:
        request = tenant_state.requests.get(request_id)
        if request is not None and consensus.overdue(request, now):
            due.append((request.timeout_at, 2, request.id, [consensus.expired(request)]))
    due.sort(key=lambda fact: fact[:3])
    return [event for *_, events in due for event in events]


def _lapse(agent: Agent, tenant_state: TenantState) -> Iterator[Due]:
    """What had run out by then, and the lapse with the end of every other lease, in one piece."""
    held = sorted(tenant_state.leases_of(agent.id), key=lambda lease: (lease.expires_at, lease.id))
    yield from (_expiry(lease) for lease in held if lease.expires_at <= agent.active_until)
    fact = AgentLapsed(
        agent_id=agent.id,
        agent_name=agent.name,
        last_heartbeat=agent.last_heartbeat,
        active_until=agent.active_until,
    )
    cut = [lease for lease in held if lease.expires_at > agent.active_until]
    ends = [leases.revoked(lease, leases.AGENT_INACTIVE) for lease in cut]
    yield (agent.active_until, 1, agent.id, [fact, *ends])


def _expiry(lease: Lease) -> Due:
    return (lease.expires_at, 0, lease.id, [leases.expired(lease)])


def _named_leases(names: Names, tenant_state: TenantState) -> Iterator[Lease]:
    for contact_key in names.contacts:
        if (lease := tenant_state.lease_on(contact_key)) is not None:
            yield lease
    for lease_id in names.leases:
        lease = tenant_state.leases.get(lease_id)
        if lease is not None and lease.status == "active":
            yield lease


def _named_agents(names: Names, named: list[Lease], tenant_state: TenantState) -> list[Agent]:
    ids = [*names.agents, *(lease.agent_id for lease in named)]
    found = {
        agent_id: tenant_state.agents[agent_id]
        for agent_id in ids
        if agent_id in tenant_state.agents
    }
    for name in names.agent_names:
        if (agent := tenant_state.agent_named(name)) is not None:
            found[agent.id] = agent
    return list(found.values())


# -- What a reader sees before it is recorded ----------------------------------


def lease_status(lease: Lease, holder: Agent, now: Timestamp) -> leases.Status:
    """How a lease stands at ``now``, whether or not the log says so already."""
    if lease.status != "active":
        return lease.status
    if now >= lease.expires_at and lease.expires_at <= holder.active_until:
        return "expired"
    if holder.overdue(now):
        return "revoked"
    return "expired" if now >= lease.expires_at else "active"


def request_status(request: ConsensusRequest, now: Timestamp) -> consensus.Status:
    """How a request stands at ``now``, whether or not the log says so already."""
    return "expired" if consensus.overdue(request, now) else request.status
