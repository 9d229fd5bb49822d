"""The send gate: a lease only helps if the guarded action asks first.

* A contact that another agent holds blocks: ``lease_conflict``.
* Who names a fence must hold that very lease now, or is blocked: ``stale_fence``. So once a fence
  was let through, no smaller one ever is.
* Without a fence, a contact that nobody else holds is free to send to.
* A block is information, not an error; both outcomes are events.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from quorate.domain.identity.agents import AgentRef, acting
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp

if TYPE_CHECKING:
    from quorate.domain.tenant_state import DecisionContext, TenantState

Reason: TypeAlias = Literal["lease_conflict", "stale_fence"]
LEASE_CONFLICT: Reason = "lease_conflict"
STALE_FENCE: Reason = "stale_fence"

# -- Commands ----------------------------------------------------------------


@record
class RequestSend:
    caller: Principal
    agent: AgentRef
    contact: EmailAddress
    fence: int | None
    new_send_id: str


Command = RequestSend

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
    """The holder is named when there is one: a stale fence may meet a contact that is free."""

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


def stream(event: Event) -> str:
    return f"send-{event.contact_key}"


# -- Decide ------------------------------------------------------------------


def decide(
    command: Command, tenant_state: "TenantState", _moment: "DecisionContext"
) -> Sequence[Event]:
    agent = acting(command.caller, command.agent, tenant_state)
    held = tenant_state.lease_on(command.contact.key)
    if held is not None and held.agent_id != agent.id:
        return [
            SendBlocked(
                send_id=command.new_send_id,
                contact_key=command.contact.key,
                contact_email=command.contact.email,
                agent_id=agent.id,
                agent_name=agent.name,
                reason=LEASE_CONFLICT,
                fence=command.fence,
                holder_id=held.agent_id,
                holder_name=tenant_state.agents[held.agent_id].name,
                expires_at=held.expires_at,
            )
        ]
    if command.fence is not None and (held is None or held.fence != command.fence):
        return [
            SendBlocked(
                send_id=command.new_send_id,
                contact_key=command.contact.key,
                contact_email=command.contact.email,
                agent_id=agent.id,
                agent_name=agent.name,
                reason=STALE_FENCE,
                fence=command.fence,
            )
        ]
    return [
        SendAuthorized(
            send_id=command.new_send_id,
            contact_key=command.contact.key,
            contact_email=command.contact.email,
            agent_id=agent.id,
            fence=held.fence if held else None,
        )
    ]
