"""Request permission from the send gate before sending to a contact."""

from typing import Annotated, Literal

from pydantic import Field

from quorate.contracts.coordination.leases import HolderInfo
from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT
from quorate.contracts.wire_models import (
    SEQUENCE_MAX,
    AgentRequest,
    ContactEmail,
    Query,
    ResponseModel,
    optional,
)
from quorate.domain.coordination.send_gate import Reason
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound
from quorate.domain.shared.email_addresses import AddressUnusable


class SendBody(AgentRequest):
    contact_email: ContactEmail
    fence: Annotated[int, Field(ge=1, le=SEQUENCE_MAX)] | None = Field(
        default=None,
        description="Fencing token of the agent's lease. The send gate blocks a stale token.",
    )


class SendVerdict(ResponseModel):
    """The decision of the send gate. ``blocked`` is a result, not an error.

    * ``reason``: why the request is blocked.
    * ``fence``: the fencing token of the agent's lease, if any.
    * ``leaseHolder``: the other agent that holds the contact, if any.
    """

    id: str
    tenant_id: str
    agent_id: str
    contact_email: str
    status: Literal["authorized", "blocked"]
    reason: Reason | None = optional()
    fence: int | None = optional()
    holder: HolderInfo | None = optional(alias="leaseHolder")

    @property
    def authorized(self) -> bool:
        """Whether the agent may contact the person now."""
        return self.status == "authorized"


REQUEST_SEND = Operation(
    method="POST",
    path="/v1/agent/request-send",
    name="requestSend",
    summary="Request permission to send to a contact",
    description="The send gate authorizes the request, or blocks it and gives the reason. A "
    "request that is repeated with its Idempotency-Key is judged again, at that time.",
    roles=CAN_ACT,
    body=SendBody,
    query=Query,
    response=SendVerdict,
    errors=(AgentNotFound, ActingAsAnother, AddressUnusable),
    command=True,
    hot=True,
)
OPERATIONS = (REQUEST_SEND,)
