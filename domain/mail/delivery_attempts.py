"""Commands on deliveries: of the relay before and after an attempt, and of operators.

* The relay asks ``BeginDelivery`` just before an attempt, and records its outcome afterwards. An
  outcome of a delivery that has ended meanwhile changes nothing.
* The waits between attempts double, with some jitter, up to a maximum.
"""

from collections.abc import Sequence
from typing import Any

from quorate.domain.coordination.send_gate import reads_of_contact
from quorate.domain.identity.agents import AGENTS
from quorate.domain.mail.accounts import (
    BAD,
    MailSendingFrozen,
    account_of,
    has_lost_reputation,
    with_outcome,
)
from quorate.domain.mail.deliveries import (
    DELIVERIES,
    ERASED,
    ComplaintReceived,
    DeadLetterDropped,
    Delivery,
    DeliveryNotFound,
    Event,
    MessageBounced,
    MessageCancelled,
    MessageDeadLettered,
    MessageDeferred,
    MessageQueued,
    MessageRelayed,
    NotADeadLetter,
)
from quorate.domain.mail.message_gate import find_message_block
from quorate.domain.mail.messages import MESSAGE_HEADER, MESSAGES
from quorate.domain.mail.settings import RetryPolicy
from quorate.domain.mail.threads import THREAD_OF_MESSAGE
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import (
    MILLISECONDS_PER_HOUR,
    MILLISECONDS_PER_SECOND,
    Timestamp,
)

DETAIL_LENGTH_MAX = 500
DOUBLINGS_MAX = 32
JITTER_SHARE = 0.2
# Reads of what belongs to a delivery or a message.
ACCOUNT_OF_DELIVERY = "mail_account.delivery"

# -- Commands of the relay ---------------------------------------------------


class DeliveryCommand:
    """A command on one delivery."""

    __slots__ = ()
    message_id: str
    delivery_id: str

    def reads(self) -> Reads:
        return (
            *DELIVERIES.by("id", self.delivery_id),
            (MESSAGE_HEADER, self.message_id),
            (ACCOUNT_OF_DELIVERY, self.delivery_id),
            (THREAD_OF_MESSAGE, self.message_id),
        )

    def _find(self, state: TenantState) -> Delivery:
        delivery = state[DELIVERIES].get(self.delivery_id)
        if delivery is None:
            raise DeliveryNotFound
        return delivery

    def result(self, state: TenantState, _events: Sequence[Event]) -> Delivery:
        return state[DELIVERIES][self.delivery_id]


def _of(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.id,
        "message_id": delivery.message_id,
        "agent_id": delivery.agent_id,
        "address": delivery.address,
    }


@record
class BeginDelivery(DeliveryCommand):
    """Judge a delivery immediately before its attempt; the result tells whether it is due."""

    message_id: str
    delivery_id: str
    contact_key: str
    agent_id: str

    def reads(self) -> Reads:
        return (
            *DeliveryCommand.reads(self),
            *AGENTS.by("id", self.agent_id),
            *reads_of_contact(self.contact_key),
        )

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        delivery = self._find(state)
        if not delivery.is_due:
            return []
        agent = state[AGENTS].get(delivery.agent_id)
        name = agent.name if agent is not None else delivery.agent_id
        queued = {
            **_of(delivery),
            "thread_id": delivery.thread_id,
            "contact_key": delivery.contact_key,
        }
        block = find_message_block(state, context.now, queued, name, delivery.fence)
        return [] if block is None else [block]


@record
class RecordRelayed(DeliveryCommand):
    message_id: str
    delivery_id: str
    smtp_code: int | None = None
    detail: str | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        delivery = self._find(state)
        if not delivery.is_due:
            return []
        return [
            MessageRelayed(
                **_of(delivery),
                attempts=delivery.attempts + 1,
                smtp_code=self.smtp_code,
                detail=_shortened(self.detail),
            )
        ]


@record
class RecordFailure(DeliveryCommand):
    """``jitter`` is from -1 to 1: it spreads the next attempts of many deliveries.

    ``attempts`` is how many there were before, so that a repeated command records one failure.
    """

    message_id: str
    delivery_id: str
    is_permanent: bool
    policy: RetryPolicy
    jitter: float = 0.0
    attempts: int | None = None
    smtp_code: int | None = None
    detail: str | None = None

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        delivery = self._find(state)
        if not delivery.is_due or self.attempts not in {None, delivery.attempts}:
            return []
        attempted = {
            **_of(delivery),
            "attempts": delivery.attempts + 1,
            "smtp_code": self.smtp_code,
            "detail": _shortened(self.detail),
        }
        if self.is_permanent:
            return with_freeze(state, context, MessageBounced(**attempted, reason="rejected"))
        next_at = Timestamp(context.now + wait_before(delivery.attempts, self.policy, self.jitter))
        if next_at > delivery.queued_at + self.policy.hours * MILLISECONDS_PER_HOUR:
            return [MessageDeadLettered(**attempted)]
        return [MessageDeferred(**attempted, next_attempt_at=next_at)]


@record
class RecordBounce(DeliveryCommand):
    """A relayed message came back, as a report from outside tells."""

    message_id: str
    delivery_id: str
    detail: str | None = None

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        delivery = self._find(state)
        if delivery.status != "relayed":
            return []
        bounced = MessageBounced(
            **_of(delivery),
            attempts=delivery.attempts,
            detail=_shortened(self.detail),
            reason="returned",
        )
        return with_freeze(state, context, bounced)


@record
class RecordComplaint(DeliveryCommand):
    message_id: str
    delivery_id: str

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Any]:
        delivery = self._find(state)
        if delivery.status != "relayed":
            return []
        return with_freeze(state, context, ComplaintReceived(**_of(delivery)))


@record
class CancelErased(DeliveryCommand):
    """Give up a delivery whose body was erased; the reputation of its sender stays as it is."""

    message_id: str
    delivery_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        delivery = self._find(state)
        if not delivery.is_due or state[MESSAGES][delivery.message_id].erased_at is None:
            return []
        return [MessageCancelled(**_of(delivery), reason=ERASED)]


@record
class QueueHeld(DeliveryCommand):
    """Queue a held delivery: there is an SMTP relay now. It is not sent before its time."""

    message_id: str
    delivery_id: str

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        delivery = self._find(state)
        if delivery.status != "held":
            return []
        scheduled_at = state[MESSAGES][delivery.message_id].scheduled_at
        return [_queued(delivery, Timestamp(max(context.now, scheduled_at or context.now)))]


# -- Commands of operators ---------------------------------------------------


@record
class RetryDeadLetter(DeliveryCommand):
    """Queue a dead letter again; what is attempted anyway, or waits for a relay, stays as it is."""

    message_id: str
    delivery_id: str
    detail: str | None = None

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        delivery = self._find(state)
        if delivery.is_due or delivery.status == "held":
            return []
        if delivery.status != "dead_lettered":
            raise NotADeadLetter(delivery.status)
        return [_queued(delivery, context.now, self.detail)]


@record
class DropDeadLetter(DeliveryCommand):
    """Give up a dead letter, or a delivery that is held."""

    message_id: str
    delivery_id: str
    detail: str | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        delivery = self._find(state)
        if delivery.status == "dropped":
            return []
        if delivery.status not in {"dead_lettered", "held"}:
            raise NotADeadLetter(delivery.status)
        return [DeadLetterDropped(**_of(delivery), detail=self.detail)]


# -- Rules -------------------------------------------------------------------


def wait_before(attempts: int, policy: RetryPolicy, jitter: float) -> int:
    """Return the milliseconds before the next attempt: doubled each time, 20 % more or less."""
    seconds = policy.seconds_min * 2.0 ** min(attempts, DOUBLINGS_MAX)
    return round(
        min(seconds, policy.seconds_max) * (1 + JITTER_SHARE * jitter) * MILLISECONDS_PER_SECOND
    )


def with_freeze(
    state: TenantState, context: DecisionContext, event: MessageBounced | ComplaintReceived
) -> Sequence[Any]:
    """Return the event, and the freeze of its sender if its reputation is lost by it."""
    account = account_of(state, event.agent_id, context.now)
    if account.frozen_at is None and has_lost_reputation(with_outcome(account, BAD)):
        return [event, MailSendingFrozen(agent_id=account.id, reason="reputation")]
    return [event]


def _queued(delivery: Delivery, at: Timestamp, detail: str | None = None) -> MessageQueued:
    return MessageQueued(
        **_of(delivery),
        thread_id=delivery.thread_id,
        contact_key=delivery.contact_key,
        next_attempt_at=at,
        fence=delivery.fence,
        detail=detail,
    )


def _shortened(detail: str | None) -> str | None:
    return None if detail is None else detail[:DETAIL_LENGTH_MAX]


DELIVERY_COMMANDS = (
    BeginDelivery,
    RecordRelayed,
    RecordFailure,
    RecordBounce,
    RecordComplaint,
    CancelErased,
    QueueHeld,
    RetryDeadLetter,
    DropDeadLetter,
)
