"""The send gate: an agent asks it before it acts on a contact.

* A contact that another agent holds blocks: ``lease_conflict``.
* A caller that names a fencing token must hold that very lease now. Otherwise it is blocked:
  ``stale_fence``. Once a fence was authorized, no smaller one ever is.
* Without a fence, a contact that no other agent holds is free to send to.
* A block is a result, not an error. Both outcomes are events.
* A request that is repeated under its idempotency key is judged again, with the fence that was
  authorized. An authorization that is over becomes a block, and a block stays one.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from quorate.domain.coordination.leases import LEASES, live_lease
from quorate.domain.identity.agents import AGENTS, AgentRef, acting, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.aggregates import Aggregate, Reads
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

Reason: TypeAlias = Literal["lease_conflict", "stale_fence"]
LEASE_CONFLICT: Reason = "lease_conflict"
STALE_FENCE: Reason = "stale_fence"

# -- Events ------------------------------------------------------------------


@record
class SendAuthorized:
    send_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    fence: int | None = None


@record
class SendBlocked:
    """The holder is named if there is one: with a stale fence the contact may be free."""

    send_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    agent_name: str
    reason: Reason
    fence: int | None = None
    holder_id: str | None = None
    holder_name: str | None = None
    expires_at: Timestamp | None = None


Event: TypeAlias = SendAuthorized | SendBlocked


# -- Rules -------------------------------------------------------------------


@record
class Block:
    """Why an agent is blocked, and the agent that holds the contact, if any."""

    reason: Reason
    holder_id: str | None = None
    holder_name: str | None = None
    expires_at: Timestamp | None = None


def reads_of_contact(contact_key: str) -> Reads:
    """Read what the gate decides on: the live lease of a contact, and its holder."""
    return LEASES.by("live_contact", contact_key)


def find_block(
    state: TenantState, agent_id: str, contact_key: str, fence: int | None
) -> Block | None:
    """Return why the agent is blocked, or None if it may contact the person."""
    held = live_lease(state, contact_key)
    if held is not None and held.agent_id != agent_id:
        return Block(
            reason=LEASE_CONFLICT,
            holder_id=held.agent_id,
            holder_name=state[AGENTS][held.agent_id].name,
            expires_at=held.expires_at,
        )
    if fence is not None and (held is None or held.fence != fence):
        return Block(reason=STALE_FENCE)
    return None


def _own_fence(state: TenantState, contact_key: str) -> int | None:
    """Return the fence of the own lease on a contact that no other agent holds."""
    held = live_lease(state, contact_key)
    return None if held is None else held.fence


# -- Commands ----------------------------------------------------------------


@record
class Authorization:
    """What a stored response authorized: a send to a free contact, or with this fence."""

    fence: int | None


@record
class RequestSend:
    """Request permission to act on a contact."""

    caller: Principal
    agent: AgentRef
    contact: EmailAddress
    fence: int | None
    new_send_id: str

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name)
        return (*agent, *reads_of_contact(self.contact.key))

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        agent = acting(self.caller, self.agent, state)
        block = find_block(state, agent.id, self.contact.key, self.fence)
        if block is not None:
            return [
                SendBlocked(
                    send_id=self.new_send_id,
                    contact_key=self.contact.key,
                    contact_email=self.contact.email,
                    agent_id=agent.id,
                    agent_name=agent.name,
                    reason=block.reason,
                    fence=self.fence,
                    holder_id=block.holder_id,
                    holder_name=block.holder_name,
                    expires_at=block.expires_at,
                )
            ]
        return [
            SendAuthorized(
                send_id=self.new_send_id,
                contact_key=self.contact.key,
                contact_email=self.contact.email,
                agent_id=agent.id,
                fence=_own_fence(state, self.contact.key),
            )
        ]

    def result(self, _state: TenantState, events: Sequence[Event]) -> Event:
        return events[0]

    def repeat(
        self, granted: Authorization, state: TenantState, context: DecisionContext
    ) -> Sequence[Event] | None:
        events = changed(self, fence=granted.fence).decide(state, context)
        return events if isinstance(events[0], SendBlocked) else None


SEND_GATE: Aggregate[None] = Aggregate(
    name="send",
    events=get_args(Event),  # They are recorded for subscribers and audits; no state follows.
    stream=lambda event: f"send-{event.contact_key}",
    commands=(RequestSend,),
)
