"""Request permission from the send gate before sending to a contact."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from quorate.contracts.coordination.leases import HolderInfo
from quorate.contracts.descriptions import IDEMPOTENCY_KEY_LENGTH_MAX
from quorate.contracts.mail.messages import SUBJECT_ACCEPTED_MAX
from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT
from quorate.contracts.wire_models import (
    SEQUENCE_MAX,
    AgentRequest,
    ContactEmail,
    Query,
    QueryTime,
    ResponseModel,
    optional,
    text_field,
)
from quorate.domain.coordination.send_gate import Reason as GateReason
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound
from quorate.domain.mail.addresses import RecipientInvalid, TooManyRecipients
from quorate.domain.mail.deliveries import BlockReason, RefusalReason
from quorate.domain.mail.messages import MessageNotFound
from quorate.domain.mail.sending import NotSchedulable, SubjectTooLong
from quorate.domain.mail.threads import ThreadNotFound
from quorate.domain.shared.email_addresses import AddressUnusable

SEND_REASON_LENGTH_MAX = 1_000
TEMPLATE_ID_LENGTH_MAX = 256
THREAD_ID_LENGTH_MAX = 64


# Why a message is blocked; ``no_relay``: it is queued and waits for an SMTP relay.
SendReason: TypeAlias = Literal[
    GateReason, BlockReason, RefusalReason, "no_relay", "rate_limit_exceeded", "quota_exceeded"
]


class SendPayload(BaseModel):
    """A message that is sent if the gate permits it. Other members are accepted and ignored."""

    model_config = ConfigDict(strict=True, frozen=True)
    subject: Annotated[str, Field(max_length=SUBJECT_ACCEPTED_MAX)] = ""
    text: str = ""
    html: str | None = None


class SendBody(AgentRequest):
    """With a `payload`, the message is sent in the same transaction as the decision.

    A request has at most 64 KB; send a longer message with `sendMail`.
    """

    contact_email: ContactEmail = Field(
        validation_alias=AliasChoices("contactEmail", "recipientEmail"),
        description="The person to contact. `recipientEmail` is accepted as another name.",
    )
    fence: Annotated[int, Field(ge=1, le=SEQUENCE_MAX)] | None = Field(
        default=None,
        description="Fencing token of the agent's lease. The send gate blocks a stale token.",
    )
    payload: SendPayload | None = Field(default=None, description="A message to send.")
    dedupe_key: Annotated[str, text_field(IDEMPOTENCY_KEY_LENGTH_MAX)] | None = Field(
        default=None, description="As the header Idempotency-Key, which has precedence."
    )
    send_reason: Annotated[str, text_field(SEND_REASON_LENGTH_MAX)] | None = Field(
        default=None, description="Why, for the log."
    )
    scheduled_at: Annotated[QueryTime, Field(strict=False)] | None = Field(
        default=None, description="When the message is to be sent. Only with a payload."
    )
    thread_id: Annotated[str, text_field(THREAD_ID_LENGTH_MAX)] | None = Field(
        default=None, description="Thread of the agent that the message continues."
    )
    template_id: Annotated[str, text_field(TEMPLATE_ID_LENGTH_MAX)] | None = Field(
        default=None, description="It is recorded and has no effect: templates are the caller's."
    )


class PolicyDecision(ResponseModel):
    allow: bool
    reason: str | None


class PolicyRule(ResponseModel):
    """A rule of the decision, and whether the message passed it."""

    rule: Literal[
        "deduplication",
        "lease",
        "fence",
        "contact_policy",
        "sending_limits",
        "frozen_sender",
        "recipient",
    ]
    passed: bool
    detail: str | None


class PolicyTrace(ResponseModel):
    decision: PolicyDecision
    audit_events: list[PolicyRule]


class SendVerdict(ResponseModel):
    """The decision of the send gate. ``blocked`` is a result, not an error.

    * ``reason``: why the request is blocked.
    * ``fence``: the fencing token of the agent's lease, if any.
    * ``leaseHolder``: the other agent that holds the contact, if any.
    * With a payload: ``requestId`` and ``policyTrace``, and the ids of the message. ``status`` is
      then ``queued``, ``scheduled`` or ``blocked``.
    """

    id: str
    tenant_id: str
    agent_id: str
    contact_email: str
    status: Literal["authorized", "blocked", "queued", "scheduled"]
    reason: SendReason | None = optional()
    fence: int | None = optional()
    holder: HolderInfo | None = optional(alias="leaseHolder")
    request_id: str | None = optional()
    policy_trace: PolicyTrace | None = optional()
    message_id: str | None = optional()
    thread_id: str | None = optional()

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
    errors=(
        *(AgentNotFound, ActingAsAnother, AddressUnusable, RecipientInvalid, ThreadNotFound),
        *(MessageNotFound, SubjectTooLong, TooManyRecipients, NotSchedulable),
    ),
    command=True,
    hot=True,
)
OPERATIONS = (REQUEST_SEND,)
