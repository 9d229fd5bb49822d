"""Acquire and renew leases: who is granted a contact, who renews a lease, and who is rejected.

* A free contact is granted to the first agent that requests it.
* The holder that acquires again renews its lease (same id and fence). It keeps the intent, unless
  the request names another one. A renewal never shortens a lease.
* A holder is an agent, and the instance that the request names (``holder``), such as a process.
  Another instance of the same agent is a rival like any other, and so is a request without one.
* A lease without an instance belongs to the agent as a whole. An instance may take it over.
* An instance that takes over a lease gets another one with a new fence, and so does an agent that
  has registered again since the grant. The earlier lease is revoked, and the send gate blocks it.
"""

from collections.abc import Sequence
from typing import Any

from quorate.domain.coordination.leases import (
    CONTENDERS_MAX,
    INTENT_DEFAULT,
    LEASES,
    SUPERSEDED,
    Event,
    Lease,
    LeaseAcquired,
    LeaseCommand,
    LeaseConflicted,
    LeaseEnded,
    LeaseHeld,
    LeaseRenewed,
    lease_revoked,
    live_lease,
    own_lease,
)
from quorate.domain.identity.agents import (
    AGENTS,
    Agent,
    AgentRef,
    acting_actively,
    reads_of_agent,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp, later


@record
class AcquireLease:
    """Acquire a contact exclusively, or renew the lease that the holder has."""

    caller: Principal
    agent: AgentRef
    contact: EmailAddress
    intent: str | None  # None: the intent of the lease that is renewed, else the default.
    duration_minutes: float
    new_lease_id: str  # Used only for a grant.
    holder: str | None = None

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name, quotas.OWNED_COUNT)
        return (*agent, *LEASES.by("live_contact", self.contact.key), quotas.COUNTS)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent = acting_actively(self.caller, self.agent, state, context)
        held = live_lease(state, self.contact.key)
        until = later(context.now, minutes=self.duration_minutes)
        if held is None:
            own = state.owned_count("live_leases", agent.id)
            quotas.check("live_leases_per_agent", own, context.quotas)
            quotas.check("live_leases", state.count("live_leases"), context.quotas)
            return [self._granted(agent, INTENT_DEFAULT, until, fence=context.sequence)]
        if not held.admits(agent.id, self.holder):
            raise _conflict(
                held,
                state[AGENTS][held.agent_id],
                agent_id=agent.id,
                agent_name=agent.name,
                contact_email=self.contact.email,
                intent=self.intent or INTENT_DEFAULT,
                requested_holder=self.holder,
            )
        if held.holder == self.holder and held.incarnation in {None, agent.incarnation}:
            return _renewed(held, self.intent or held.intent, until)
        return [
            lease_revoked(held, SUPERSEDED),
            self._granted(agent, held.intent, until, fence=context.sequence + 1),
        ]

    def _granted(self, agent: Agent, intent: str, until: Timestamp, *, fence: int) -> LeaseAcquired:
        return LeaseAcquired(
            lease_id=self.new_lease_id,
            contact_key=self.contact.key,
            contact_email=self.contact.email,
            agent_id=agent.id,
            intent=self.intent or intent,
            expires_at=until,
            fence=fence,
            holder=self.holder,
            incarnation=agent.incarnation,
        )

    def result(self, state: TenantState, _events: Sequence[Event]) -> Lease | None:
        return live_lease(state, self.contact.key)

    # -- A repeated request --------------------------------------------------

    def reads_of_repeat(self, granted: str) -> Reads:
        return LEASES.by("id", granted)

    def repeat(
        self, granted: str, state: TenantState, _context: DecisionContext
    ) -> Sequence[Event]:
        """Accept the repetition while the lease ``granted`` lasts; raise LeaseEnded after it."""
        _active(state[LEASES][granted])
        return []


@record
class RenewLease(LeaseCommand):
    """Renew a lease by its id. With ``holder``, only if that instance has it."""

    caller: Principal
    lease_id: str
    duration_minutes: float
    holder: str | None = None

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[LeaseRenewed]:
        lease = _active(own_lease(self.caller, self.lease_id, state))
        if self.holder not in {None, lease.holder}:
            agent = state[AGENTS][lease.agent_id]
            raise _conflict(
                lease,
                agent,
                agent_id=agent.id,
                agent_name=agent.name,
                contact_email=lease.contact_email,
                intent=lease.intent,
                requested_holder=self.holder,
            )
        until = later(context.now, minutes=self.duration_minutes)
        return _renewed(lease, lease.intent, until)

    def repeat(
        self, _granted: object, state: TenantState, _context: DecisionContext
    ) -> Sequence[LeaseRenewed]:
        _active(state[LEASES][self.lease_id])
        return []


def _active(lease: Lease) -> Lease:
    """Return the lease; raise LeaseEnded if it is recorded as ended."""
    if lease.status != "active":
        raise LeaseEnded(lease.id, lease.status)
    return lease


def _conflict(lease: Lease, holder: Agent, **request: Any) -> LeaseHeld:  # noqa: ANN401
    """Return the rejection of a rival of ``holder``; ``request`` has the other fields of it."""
    event = LeaseConflicted(
        lease_id=lease.id,
        contact_key=lease.contact_key,
        holder_id=holder.id,
        holder_name=holder.name,
        expires_at=lease.expires_at,
        holder=lease.holder,
        **request,
    )
    is_contender = event.agent_id in lease.contenders or len(lease.contenders) < CONTENDERS_MAX
    return LeaseHeld(event, will_notify=is_contender)


def _renewed(lease: Lease, intent: str, until: Timestamp) -> Sequence[LeaseRenewed]:
    expires_at = max(lease.expires_at, until)
    if expires_at == lease.expires_at and intent == lease.intent:
        return []
    return [
        LeaseRenewed(
            lease_id=lease.id,
            contact_key=lease.contact_key,
            agent_id=lease.agent_id,
            intent=intent,
            expires_at=expires_at,
            holder=lease.holder,
        )
    ]
