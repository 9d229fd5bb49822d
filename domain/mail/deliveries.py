"""Delivery to people outside: queue, send gate, attempts by SMTP, bounces, dead letters.

* An external recipient is a contact. The send gate judges it when the message is queued, and again
  just before each attempt: a lease granted to another agent in between blocks the message.
* Only a delivery that is queued or deferred is attempted. Nothing is recorded before an attempt:
  a crash between the acceptance by SMTP and our event may send it twice, with one Message-ID.
* A temporary failure defers the delivery, with growing waits; after ``RetryPolicy.hours`` it is a
  dead letter. A permanent failure bounces it at once. A dead letter is retried or dropped by an
  operator; it is never removed otherwise.
* A message whose body was erased before it was sent is cancelled. That is no failure of its sender.
* Without an SMTP relay a delivery is held, and queued as soon as there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, TypeAlias, assert_never, get_args

from quorate.domain.coordination.send_gate import Reason as GateReason
from quorate.domain.mail.accounts import (
    BAD,
    GOOD,
    MAIL_ACCOUNTS,
    MailAccount,
    with_outcome,
)
from quorate.domain.mail.messages import MESSAGES, Message, RecipientStatus, with_recipient
from quorate.domain.mail.threads import MAIL_THREADS, MailThread, joined
from quorate.domain.shared.aggregates import Aggregate, Effect
from quorate.domain.shared.errors import Conflict, NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.timestamps import Timestamp

BlockReason: TypeAlias = Literal[GateReason, "sending_frozen"]
RefusalReason: TypeAlias = Literal["contact_blocked", "no_such_agent"]
NO_RELAY: Literal["no_relay"] = "no_relay"
ERASED: Literal["erased"] = "erased"
SENDING_FROZEN: BlockReason = "sending_frozen"
CONTACT_BLOCKED: RefusalReason = "contact_blocked"
NO_SUCH_AGENT: RefusalReason = "no_such_agent"

# -- Events ------------------------------------------------------------------


@record
class _OfDelivery:
    delivery_id: str
    message_id: str
    agent_id: str  # The sender.
    address: str


@record
class MessageQueued(_OfDelivery):
    thread_id: str
    contact_key: str
    next_attempt_at: Timestamp
    fence: int | None = None
    detail: str | None = None  # Why an operator retries it, if it is a dead letter.


@record
class MessageHeld(_OfDelivery):
    thread_id: str
    contact_key: str
    reason: Literal["no_relay"]
    fence: int | None = None


@record
class MessageBlocked(_OfDelivery):
    """It will not be sent. The holder is named if another agent holds the contact."""

    thread_id: str
    contact_key: str
    agent_name: str
    reason: BlockReason
    holder_id: str | None = None
    holder_name: str | None = None
    expires_at: Timestamp | None = None


@record
class MessageRefused:
    """An address in the tenant's own domain names no agent, or its agent's policy forbids it."""

    message_id: str
    agent_id: str  # The sender.
    address: str
    reason: RefusalReason


@record
class _Attempted(_OfDelivery):
    attempts: int
    smtp_code: int | None = None
    detail: str | None = None  # The server's response, shortened.


@record
class MessageRelayed(_Attempted):
    """The SMTP relay accepted the message."""


@record
class MessageDeferred(_Attempted):
    next_attempt_at: Timestamp


@record
class MessageBounced(_Attempted):
    reason: str


@record
class MessageDeadLettered(_Attempted):
    pass


@record
class DeadLetterDropped(_OfDelivery):
    detail: str | None = None


@record
class MessageCancelled(_OfDelivery):
    """It will not be sent, for a reason that is not its sender's."""

    reason: Literal["erased"]


@record
class ComplaintReceived(_OfDelivery):
    """The recipient reported the message as spam."""


Event: TypeAlias = (
    MessageQueued
    | MessageHeld
    | MessageBlocked
    | MessageRefused
    | MessageRelayed
    | MessageDeferred
    | MessageBounced
    | MessageDeadLettered
    | DeadLetterDropped
    | MessageCancelled
    | ComplaintReceived
)


# -- State -------------------------------------------------------------------


@record
class Delivery:
    id: str
    message_id: str
    thread_id: str
    agent_id: str
    address: str
    contact_key: str
    status: RecipientStatus
    queued_at: Timestamp  # Since when it is attempted; a retry by an operator begins again.
    fence: int | None = None
    attempts: int = 0
    next_attempt_at: Timestamp | None = None  # None: there is no further attempt.
    updated_at: Timestamp = Timestamp(0)
    smtp_code: int | None = None
    detail: str | None = None

    @property
    def is_due(self) -> bool:
        return self.status in {"queued", "deferred"}


def delivery_id(message_id: str, number: int) -> str:
    return f"{message_id}.{number}"


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class DeliveryNotFound(NotFound):
    code, title = "delivery_not_found", "Delivery not found"


@dataclass(eq=False)
class NotADeadLetter(Conflict):
    """Only a dead letter is retried or dropped."""

    code, title = "not_a_dead_letter", "The delivery is not a dead letter"
    reason = "its status is {delivery_status}"
    delivery_status: RecipientStatus


# -- Evolve ------------------------------------------------------------------


def evolve(  # noqa: PLR0911 - one for each event.
    state: Delivery | None, event: Event, at: Timestamp
) -> Delivery:
    assert not isinstance(event, MessageRefused), "it concerns no delivery"
    if isinstance(event, MessageQueued | MessageHeld):
        is_queued = isinstance(event, MessageQueued)
        next_at = event.next_attempt_at if isinstance(event, MessageQueued) else None
        return Delivery(
            id=event.delivery_id,
            message_id=event.message_id,
            thread_id=event.thread_id,
            agent_id=event.agent_id,
            address=event.address,
            contact_key=event.contact_key,
            status="queued" if is_queued else "held",
            queued_at=Timestamp(max(at, next_at or at)),
            fence=event.fence,
            next_attempt_at=next_at,
            updated_at=at,
            detail=None if is_queued else NO_RELAY,
        )
    if isinstance(event, MessageBlocked) and state is None:
        return Delivery(
            id=event.delivery_id,
            message_id=event.message_id,
            thread_id=event.thread_id,
            agent_id=event.agent_id,
            address=event.address,
            contact_key=event.contact_key,
            status="blocked",
            queued_at=at,
            updated_at=at,
            detail=event.reason,
        )
    assert state is not None, "the log attempts a delivery that it never queued"
    ended = changed(state, next_attempt_at=None, updated_at=at)
    match event:
        case MessageBlocked():
            return changed(ended, status="blocked", detail=event.reason)
        case MessageRelayed():
            return _attempted(ended, event, "relayed")
        case MessageDeferred():
            return changed(
                _attempted(ended, event, "deferred"), next_attempt_at=event.next_attempt_at
            )
        case MessageBounced():
            return _attempted(ended, event, "bounced")
        case MessageDeadLettered():
            return _attempted(ended, event, "dead_lettered")
        case DeadLetterDropped():
            return changed(ended, status="dropped")
        case MessageCancelled():
            return changed(ended, status="cancelled", detail=event.reason)
        case ComplaintReceived():
            return state
        case _:
            assert_never(event)


def _attempted(state: Delivery, event: _Attempted, status: RecipientStatus) -> Delivery:
    return changed(
        state,
        status=status,
        attempts=event.attempts,
        smtp_code=event.smtp_code,
        detail=event.detail,
    )


_STATUS: Mapping[type[Any], RecipientStatus] = {
    MessageQueued: "queued",
    MessageHeld: "held",
    MessageBlocked: "blocked",
    MessageRelayed: "relayed",
    MessageDeferred: "deferred",
    MessageBounced: "bounced",
    MessageDeadLettered: "dead_lettered",
    DeadLetterDropped: "dropped",
    MessageCancelled: "cancelled",
}


def _recipient(state: Message | None, event: Any, _at: Timestamp) -> Message:  # noqa: ANN401 - of _STATUS.
    assert state is not None
    reason = getattr(event, "reason", None)
    return with_recipient(state, event.address, "external", _STATUS[type(event)], reason)


def _refused(state: Message | None, event: MessageRefused, _at: Timestamp) -> Message:
    assert state is not None
    status: RecipientStatus = "blocked" if event.reason == CONTACT_BLOCKED else "bounced"
    return with_recipient(state, event.address, "internal", status, event.reason)


def _joins(state: MailThread | None, event: Any, _at: Timestamp) -> MailThread:  # noqa: ANN401
    assert state is not None
    return joined(state, event.address, None)


def _outcome(state: MailAccount | None, event: Any, at: Timestamp) -> MailAccount:  # noqa: ANN401
    account = MailAccount(id=event.agent_id, created_at=at) if state is None else state
    match event:
        case MessageRelayed():
            return with_outcome(account, GOOD)
        case MessageBounced():
            bounced = changed(account, total_bounced=account.total_bounced + 1)
            return with_outcome(bounced, BAD)
        case _:
            complained = changed(account, total_complaints=account.total_complaints + 1)
            return with_outcome(complained, BAD)


DELIVERIES: Aggregate[Delivery] = Aggregate(
    name="delivery",
    events=get_args(Event),
    stream=lambda event: f"message-{event.message_id}",
    id_of=lambda event: None if isinstance(event, MessageRefused) else event.delivery_id,
    evolve=evolve,
    effects=(
        *(
            Effect(
                event=event,
                aggregate=MESSAGES,
                id_of=attrgetter("message_id"),
                evolve=_recipient,
            )
            for event in _STATUS
        ),
        Effect(
            event=MessageRefused,
            aggregate=MESSAGES,
            id_of=attrgetter("message_id"),
            evolve=_refused,
        ),
        *(
            Effect(
                event=event, aggregate=MAIL_THREADS, id_of=attrgetter("thread_id"), evolve=_joins
            )
            for event in (MessageQueued, MessageHeld)
        ),
        *(
            Effect(
                event=event, aggregate=MAIL_ACCOUNTS, id_of=attrgetter("agent_id"), evolve=_outcome
            )
            for event in (MessageRelayed, MessageBounced, ComplaintReceived)
        ),
    ),
    phase_of=attrgetter("status"),
    is_final=lambda delivery: delivery.status in {"blocked", "bounced", "dropped", "cancelled"},
)
