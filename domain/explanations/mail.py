"""Accounts of messages: delivered, blocked, refused, bounced, dead, cancelled and erased."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.domain.explanations.causes import replay
from quorate.domain.explanations.deadlines import due
from quorate.domain.explanations.records import Account, History, LoggedEvent, Possible
from quorate.domain.identity.agents import AGENTS
from quorate.domain.mail.accounts import MAIL_ACCOUNTS, MailSendingFrozen, account_of
from quorate.domain.mail.deliveries import (
    CONTACT_BLOCKED,
    DELIVERIES,
    NO_SUCH_AGENT,
    DeadLetterDropped,
    MessageBlocked,
    MessageBounced,
    MessageCancelled,
    MessageDeadLettered,
    MessageRefused,
    MessageRelayed,
)
from quorate.domain.mail.delivery_attempts import (
    BeginDelivery,
    CancelErased,
    DropDeadLetter,
    RecordBounce,
    RecordFailure,
    RecordRelayed,
)
from quorate.domain.mail.mailbox_entries import MessageDelivered
from quorate.domain.mail.message_gate import find_message_block
from quorate.domain.mail.messages import MESSAGES, EraseMessage, MessageErased
from quorate.domain.mail.sending import refusal_of
from quorate.domain.mail.settings import RetryPolicy

# The time limit of the relay is the operator's option, and not in the log: it had passed.
TIME_IS_OVER = RetryPolicy(hours=0.0)


def _delivered(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """Ask the recipient's policy again. What the message says is in its own event."""
    event: MessageDelivered = decision.event
    state = replay(history)
    message = state[MESSAGES][event.message_id]
    reader = state[AGENTS][event.agent_id]
    if message.sender_id is None:
        return (event,)
    sender = state[AGENTS][message.sender_id]
    account = account_of(state, reader.id, decision.at)
    is_refused = refusal_of(account, sender, message.from_address) is not None
    return () if is_refused else (event,)


def _refused(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: MessageRefused = decision.event
    state = replay(history)
    message = state[MESSAGES][event.message_id]
    if event.reason == NO_SUCH_AGENT:
        return (event,)
    sender = state[AGENTS][event.agent_id]
    refusals = [
        refusal_of(account, sender, message.from_address)
        for account in state[MAIL_ACCOUNTS].values()
    ]
    return (event,) if CONTACT_BLOCKED in refusals else ()


def _blocked(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: MessageBlocked = decision.event
    state = replay(history)
    if event.delivery_id in state[DELIVERIES]:
        command = BeginDelivery(
            message_id=event.message_id,
            delivery_id=event.delivery_id,
            contact_key=event.contact_key,
            agent_id=event.agent_id,
        )
        return command.decide(state, decision.context)
    fields = ("delivery_id", "message_id", "agent_id", "address", "thread_id", "contact_key")
    queued = {field: getattr(event, field) for field in fields}
    fence = state[MESSAGES][event.message_id].fence
    block = find_message_block(state, decision.at, queued, event.agent_name, fence)
    return () if block is None else (block,)


def _relayed(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: MessageRelayed = decision.event
    command = RecordRelayed(**_delivery(event), smtp_code=event.smtp_code, detail=event.detail)
    return command.decide(replay(history), decision.context)


def _bounced(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: MessageBounced = decision.event
    if event.reason != "returned":
        return _failed(history, decision, is_permanent=True)
    command = RecordBounce(**_delivery(event), detail=event.detail)
    return command.decide(replay(history), decision.context)[:1]


def _dead_lettered(history: History, decision: LoggedEvent) -> Sequence[Any]:
    return _failed(history, decision, is_permanent=False)


def _failed(history: History, decision: LoggedEvent, *, is_permanent: bool) -> Sequence[Any]:
    """Fail again, without the freeze of the sender that may follow."""
    event = decision.event
    command = RecordFailure(
        **_delivery(event),
        is_permanent=is_permanent,
        policy=TIME_IS_OVER,
        smtp_code=event.smtp_code,
        detail=event.detail,
    )
    return command.decide(replay(history), decision.context)[:1]


def _dropped(history: History, decision: LoggedEvent) -> Sequence[Any]:
    command = DropDeadLetter(**_delivery(decision.event), detail=decision.event.detail)
    return command.decide(replay(history), decision.context)


def _cancelled(history: History, decision: LoggedEvent) -> Sequence[Any]:
    return CancelErased(**_delivery(decision.event)).decide(replay(history), decision.context)


def _delivery(event: Any) -> dict[str, Any]:  # noqa: ANN401 - an event of a delivery.
    return {"message_id": event.message_id, "delivery_id": event.delivery_id}


def _erased(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: MessageErased = decision.event
    if event.reason == "retention":
        return due(MESSAGES, event.message_id, history, decision)
    command = EraseMessage(caller=decision.caller, message_id=event.message_id, detail=event.detail)
    return command.decide(replay(history), decision.context)


def _frozen(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """Freeze again what is not frozen; the outcomes that led to it are many and not named."""
    event: MailSendingFrozen = decision.event
    account = account_of(replay(history), event.agent_id, decision.at)
    return () if account.frozen_at is not None else (event,)


_RESEND = Possible(action="Send the message again: quorate mail send", when="at any time")

ACCOUNTS: Mapping[type[Any], Account] = {
    MessageDelivered: Account(
        rules={"": "A message to an agent is in its mailbox at once, if its policy accepts it."},
        decision=_delivered,
        possible=(Possible(action="Read it: quorate mail inbox", when="until it is deleted"),),
    ),
    MessageRefused: Account(
        rules={
            "": "A message to an address of the tenant that names no agent is refused.",
            CONTACT_BLOCKED: "An agent's mail policy decides whose messages it accepts.",
        },
        decision=_refused,
        possible=(
            Possible(
                action="Correct the address, or ask the agent to change its mail policy",
                when="before the message is sent again",
            ),
        ),
    ),
    MessageBlocked: Account(
        rules={
            "": "The send gate judges a message to a person when it is queued and before each"
            " attempt.",
            "lease_conflict": "A message to a person is blocked while another agent holds the"
            " contact.",
            "stale_fence": "A message whose fence is not that of the active lease is blocked.",
            "sending_frozen": "A message of an agent whose sending is frozen is blocked.",
        },
        decision=_blocked,
        possible=(
            Possible(
                action="Acquire the contact, then send the message again",
                when="while no other holder has it and sending is not frozen",
            ),
        ),
    ),
    MessageRelayed: Account(
        rules={"": "A message has left when the SMTP relay accepts it."},
        decision=_relayed,
        possible=(),
    ),
    MessageBounced: Account(
        rules={
            "": "A message bounces when the SMTP relay rejects it permanently.",
            "returned": "A message bounces when a report says that it came back.",
        },
        decision=_bounced,
        possible=(
            Possible(action="Correct the address and send the message again", when="at any time"),
        ),
    ),
    MessageDeadLettered: Account(
        rules={
            "": "A message is a dead letter when temporary failures last longer than the"
            " operator's limit."
        },
        decision=_dead_lettered,
        possible=(
            Possible(
                action="Retry it or drop it: quorate mail dead-letters",
                when="until it is retried or dropped",
            ),
        ),
    ),
    DeadLetterDropped: Account(
        rules={"": "An operator gives up a dead letter or a message that is held."},
        decision=_dropped,
        possible=(_RESEND,),
    ),
    MessageCancelled: Account(
        rules={"": "A message whose body is erased before it leaves is cancelled."},
        decision=_cancelled,
        possible=(_RESEND,),
    ),
    MessageErased: Account(
        rules={
            "": "The body of a message is erased on request.",
            "retention": "The body of a message is erased when its retention time is over.",
        },
        decision=_erased,
        possible=(_RESEND,),
    ),
    MailSendingFrozen: Account(
        rules={
            "": "An operator freezes the sending of an agent.",
            "reputation": "The sending of an agent is frozen when too many of its messages bounce.",
        },
        decision=_frozen,
        possible=(Possible(action="Thaw it: quorate mail thaw", when="by an operator"),),
    ),
}
