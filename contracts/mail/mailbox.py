"""Mark, acknowledge, delete and erase messages; the account and the policy of a mailbox."""

from typing import Annotated, Any, Literal

from pydantic import Field

from quorate.contracts.mail.messages import EMAIL, MESSAGE, Address
from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT, CAN_AUDIT, CAN_ISSUE_KEYS, CAN_READ
from quorate.contracts.wire_models import (
    REASON_LENGTH_MAX,
    PageQuery,
    SnakeAgentQuery,
    SnakeAgentRequest,
    SnakeQuery,
    SnakeRequest,
    SnakeResponse,
    Time,
    text_field,
)
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound
from quorate.domain.mail.accounts import POLICY_ENTRIES_MAX, FreezeReason, Mode, NotAnAgent
from quorate.domain.mail.deliveries import DeliveryNotFound, NotADeadLetter
from quorate.domain.mail.messages import MessageNotFound, RecipientStatus
from quorate.domain.mail.settings import Tier

DELIVERIES = "/email/deliveries"
ACCOUNTS = "/email/accounts/{agent_id}"
_COMMON: dict[str, Any] = {"error_object": True}
_ERRORS = (AgentNotFound, ActingAsAnother, NotAnAgent)
_DETAIL = "Why, for the log."


class StarBody(SnakeAgentRequest):
    starred: bool | None = Field(
        default=None, description="Whether the message has a star. Without it, it is toggled."
    )


class Starred(SnakeResponse):
    starred: bool


class MarksInfo(SnakeResponse):
    """The marks of a message in one mailbox."""

    message_id: str
    read_at: Time | None
    starred: bool
    acked_at: Time | None


class Deleted(SnakeResponse):
    deleted: Literal[True] = True


class EraseBody(SnakeRequest):
    detail: Annotated[str, text_field(REASON_LENGTH_MAX)] | None = Field(
        default=None, description=_DETAIL
    )


class ErasedInfo(SnakeResponse):
    message_id: str
    erased_at: Time


class LimitUse(SnakeResponse):
    used: int
    limit: int
    remaining: int
    resets_at: Time


class RateLimits(SnakeResponse):
    hourly: LimitUse
    daily: LimitUse


class AccountInfo(SnakeResponse):
    """`reputation_score`: 1 - (bounces + complaints) / sends, over the last 100 to people."""

    email_address: str
    agent_id: str
    status: Literal["active", "frozen"]
    send_tier: Tier
    reputation_score: float
    total_sent: int
    total_received: int
    total_bounced: int
    total_spam_complaints: int
    unread_count: int
    stored_bytes: int
    sending_frozen: bool
    frozen_reason: FreezeReason | None
    rate_limits: RateLimits
    created_at: Time


class PolicyBody(SnakeAgentRequest):
    """Whose mail the agent accepts. `allow` and `block` are addresses, agent names or ids."""

    mode: Mode
    allow: Annotated[list[Address], Field(max_length=POLICY_ENTRIES_MAX)] = Field(
        default_factory=list, description="Senders that `contacts_only` accepts."
    )
    block: Annotated[list[Address], Field(max_length=POLICY_ENTRIES_MAX)] = Field(
        default_factory=list, description="Senders that are never accepted."
    )


class PolicyInfo(SnakeResponse):
    mode: Mode
    allow: list[str]
    block: list[str]


class UnreadInfo(SnakeResponse):
    """`unread`: messages in all mailboxes of the tenant. `mailboxes`: those that have any."""

    unread: int
    mailboxes: int


class DeliveriesQuery(SnakeQuery, PageQuery):
    model_config = SnakeQuery.model_config
    status: Literal["dead_lettered", "held"] = "dead_lettered"


class DeliveryInfo(SnakeResponse):
    """One recipient of a message outside. ``detail`` is the last response of the SMTP server."""

    id: str
    message_id: str
    thread_id: str
    agent_id: str
    address: str
    status: RecipientStatus
    attempts: int
    smtp_code: int | None
    detail: str | None
    queued_at: Time
    next_attempt_at: Time | None
    updated_at: Time


class OperatorBody(SnakeRequest):
    detail: Annotated[str, text_field(REASON_LENGTH_MAX)] | None = Field(
        default=None, description=_DETAIL
    )


class TierBody(SnakeRequest):
    tier: Tier


def _mark(name: str, action: str, summary: str, description: str = "") -> Operation[MarksInfo]:
    return Operation(
        method="POST",
        path=f"{MESSAGE}/{action}",
        name=name,
        summary=summary,
        description=description,
        roles=CAN_ACT,
        body=SnakeAgentRequest,
        body_optional=True,
        query=SnakeAgentQuery,
        response=MarksInfo,
        errors=(*_ERRORS, MessageNotFound),
        command=True,
        **_COMMON,
    )


MARK_READ = _mark("markMessageRead", "read", "Mark a message as read")
MARK_UNREAD = _mark("markMessageUnread", "unread", "Mark a message as unread")
ACKNOWLEDGE = _mark(
    "acknowledgeMessage",
    "ack",
    "Acknowledge a message",
    "Its sender is notified. The message is marked as read as well.",
)
STAR = Operation(
    method="POST",
    path=MESSAGE + "/star",
    name="starMessage",
    summary="Set, remove or toggle the star of a message",
    roles=CAN_ACT,
    body=StarBody,
    body_optional=True,
    query=SnakeAgentQuery,
    response=Starred,
    errors=(*_ERRORS, MessageNotFound),
    command=True,
    **_COMMON,
)
DELETE_MESSAGE = Operation(
    method="DELETE",
    path=MESSAGE,
    name="deleteMessage",
    summary="Delete a message from one mailbox",
    description="Other mailboxes keep it.",
    roles=CAN_ACT,
    query=SnakeAgentQuery,
    response=Deleted,
    errors=(*_ERRORS, MessageNotFound),
    command=True,
    unmetered=True,
    **_COMMON,
)
ERASE_MESSAGE = Operation(
    method="POST",
    path=MESSAGE + "/erase",
    name="eraseMessage",
    summary="Erase the body of a message in all mailboxes",
    description="The log keeps that the message existed. Its hash chain remains valid.",
    roles=CAN_ISSUE_KEYS,
    body=EraseBody,
    body_optional=True,
    query=SnakeQuery,
    response=ErasedInfo,
    errors=(MessageNotFound,),
    command=True,
    unmetered=True,
    **_COMMON,
)
GET_ACCOUNT = Operation(
    method="GET",
    path=EMAIL + "/account",
    name="getMailAccount",
    summary="Get the mail account of an agent",
    roles=CAN_READ,
    query=SnakeAgentQuery,
    response=AccountInfo,
    errors=_ERRORS,
    **_COMMON,
)
GET_POLICY = Operation(
    method="GET",
    path=EMAIL + "/policy",
    name="getMailPolicy",
    summary="Get whose mail an agent accepts",
    roles=CAN_READ,
    query=SnakeAgentQuery,
    response=PolicyInfo,
    errors=_ERRORS,
    **_COMMON,
)
PUT_POLICY = Operation(
    method="PUT",
    path=EMAIL + "/policy",
    name="setMailPolicy",
    summary="Set whose mail an agent accepts",
    roles=CAN_ACT,
    body=PolicyBody,
    query=SnakeAgentQuery,
    response=PolicyInfo,
    errors=_ERRORS,
    command=True,
    **_COMMON,
)
GET_UNREAD = Operation(
    method="GET",
    path=EMAIL + "/unread",
    name="getUnreadMail",
    summary="Count the unread messages of all agents",
    roles=CAN_AUDIT,
    query=SnakeQuery,
    response=UnreadInfo,
    **_COMMON,
)
LIST_DELIVERIES = Operation(
    method="GET",
    path=DELIVERIES,
    name="listDeadLetters",
    summary="List deliveries that were given up or are held",
    roles=CAN_ISSUE_KEYS,
    query=DeliveriesQuery,
    response=list[DeliveryInfo],
    **_COMMON,
)
RETRY_DELIVERY = Operation(
    method="POST",
    path=DELIVERIES + "/{delivery_id}/retry",
    name="retryDeadLetter",
    summary="Queue a dead letter again",
    roles=CAN_ISSUE_KEYS,
    body=OperatorBody,
    body_optional=True,
    query=SnakeQuery,
    response=DeliveryInfo,
    errors=(DeliveryNotFound, NotADeadLetter),
    command=True,
    **_COMMON,
)
DROP_DELIVERY = Operation(
    method="POST",
    path=DELIVERIES + "/{delivery_id}/drop",
    name="dropDeadLetter",
    summary="Drop a dead letter",
    roles=CAN_ISSUE_KEYS,
    body=OperatorBody,
    body_optional=True,
    query=SnakeQuery,
    response=DeliveryInfo,
    errors=(DeliveryNotFound, NotADeadLetter),
    command=True,
    **_COMMON,
)


def _account_command(
    name: str,
    action: str,
    summary: str,
    body: type[Any],
    **more: Any,  # noqa: ANN401
) -> Operation[AccountInfo]:
    return Operation(
        method="POST",
        path=f"{ACCOUNTS}/{action}",
        name=name,
        summary=summary,
        roles=CAN_ISSUE_KEYS,
        body=body,
        query=SnakeQuery,
        response=AccountInfo,
        errors=(AgentNotFound,),
        command=True,
        **more,
        **_COMMON,
    )


FREEZE_ACCOUNT = _account_command(
    *("freezeMailAccount", "freeze", "Block mail of an agent to people", OperatorBody),
    body_optional=True,
)
THAW_ACCOUNT = _account_command(
    *("thawMailAccount", "thaw", "Permit mail of an agent to people again", OperatorBody),
    body_optional=True,
)
SET_TIER = _account_command(
    *("setMailTier", "tier", "Set the sending limits of an agent by a tier", TierBody)
)
OPERATIONS = (
    *(STAR, MARK_READ, MARK_UNREAD, ACKNOWLEDGE, DELETE_MESSAGE, ERASE_MESSAGE),
    *(GET_ACCOUNT, GET_POLICY, PUT_POLICY, GET_UNREAD),
    *(LIST_DELIVERIES, RETRY_DELIVERY, DROP_DELIVERY),
    *(FREEZE_ACCOUNT, THAW_ACCOUNT, SET_TIER),
)
