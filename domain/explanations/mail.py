"""Accounts of messages: delivered, blocked, refused, bounced, dead, cancelled and erased."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.domain.explanations.causes import replay
from quorate.domain.explanations.deadlines import due
from quorate.domain.explanations.records import Account, History, LoggedEvent, Possible
from quorate.domain.explanations.reputations import freeze_again
from quorate.domain.identity.agents import AGENTS, AgentRef
from quorate.domain.mail.accounts import FreezeSending, MailSendingFrozen, account_of
from quorate.domain.mail.addresses import TO, Recipient
from quorate.domain.mail.deliveries import (
    CONTACT_BLOCKED,
    NO_RELAY,
    NO_SUCH_AGENT,
    DeadLetterDropped,
    MessageBlocked,
    MessageBounced,
    MessageCancelled,
    MessageDeadLettered,
    MessageHeld,
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
from quorate.domain.mail.messages import MESSAGES, EraseMessage, MessageErased, MessageSent
from quorate.domain.mail.receiving import DeliverReceived
from quorate.domain.mail.sending import delivered, find_recipient, refusal_of
from quorate.domain.mail.settings import RetryPolicy

# The time limit of the relay is the operator's option, and not in the log: it had passed.
TIME_IS_OVER = RetryPolicy(hours=0.0)
TIME_LIMIT = "time_limit"  # The reason of a dead letter, which has no field for it.


def recipient_of(address: str) -> Recipient:
    """Return the recipient that an address inside the tenant names, as it was parsed."""
    return Recipient(address=address, field=TO, local=address.rpartition("@")[0])


def _delivered(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """Ask again which agent the address names, and what its policy accepts."""
    event: MessageDelivered = decision.event
    state, recipient = replay(history), recipient_of(event.address)
    message = state[MESSAGES][event.message_id]
    if message.sender_id is None:
        received = DeliverReceived(
            recipients=(recipient,), from_address=message.from_address, message_id=message.id
        )
        return received.decide(state, decision.context)
    reader = find_recipient(state, recipient)
    if reader is None:
        return ()
    account = account_of(state, reader.id, decision.at)
    if refusal_of(account, state[AGENTS][message.sender_id], message.from_address) is not None:
        return ()
    # How long an acknowledgement may take is the operator's option: it is that of the event.
    again = delivered(
        message,
        reader.id,
        recipient.address,
        message_id=message.id,
        sender_id=message.sender_id,
        ack_required=message.ack_required,
        ack_minutes=event.ack_minutes if message.ack_required else None,
    )
    return (again,)


def _refused(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """Ask again which agent the address names, if any, and what its policy accepts."""
    event: MessageRefused = decision.event
    state = replay(history)
    message, sender = state[MESSAGES][event.message_id], state[AGENTS][event.agent_id]
    reader = find_recipient(state, recipient_of(event.address))
    reason = NO_SUCH_AGENT
    if reader is not None:
        account = account_of(state, reader.id, decision.at)
        accepted_or_why = refusal_of(account, sender, message.from_address)
        if accepted_or_why is None:
            return ()
        reason = accepted_or_why
    again = MessageRefused(
        message_id=message.id, agent_id=sender.id, address=event.address, reason=reason
    )
    return (again,)


def _is_sent_with(history: History, decision: LoggedEvent) -> bool:
    """Return whether a recipient was judged when the message was sent, and not later."""
    return any(
        isinstance(one.event, MessageSent) and one.command_id == decision.command_id
        for one in history
    )


def _blocked(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: MessageBlocked = decision.event
    state = replay(history)
    if not _is_sent_with(history, decision):
        command = BeginDelivery(
            message_id=event.message_id,
            delivery_id=event.delivery_id,
            contact_key=event.contact_key,
            agent_id=event.agent_id,
        )
        return command.decide(state, decision.context)
    message = state[MESSAGES][event.message_id]
    name = state[AGENTS][event.agent_id].name
    block = find_message_block(state, decision.at, _queued(event), name, message.fence)
    return () if block is None else (block,)


def _queued(event: MessageBlocked | MessageHeld) -> dict[str, Any]:
    fields = ("delivery_id", "message_id", "agent_id", "address", "thread_id", "contact_key")
    return {field: getattr(event, field) for field in fields}


def _held(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """Ask the send gate again; that there was no relay is the operator's option."""
    event: MessageHeld = decision.event
    state = replay(history)
    message, sender = state[MESSAGES][event.message_id], state[AGENTS][event.agent_id]
    block = find_message_block(state, decision.at, _queued(event), sender.name, message.fence)
    if block is not None:
        return ()
    return (MessageHeld(**_queued(event), reason=NO_RELAY, fence=message.fence),)


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
    event: MailSendingFrozen = decision.event
    if event.reason == "reputation":
        return freeze_again(history, decision)
    command = FreezeSending(
        caller=decision.caller, agent=AgentRef(id=event.agent_id), detail=event.detail
    )
    return command.decide(replay(history), decision.context)


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
        denies=frozenset({NO_SUCH_AGENT}),
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
    MessageHeld: Account(
        rules={
            "": "Without an SMTP relay, a message to a person that may leave is held. Whether there"
            " was a relay is an option of the operator and not in the log."
        },
        decision=_held,
        assumes=frozenset({NO_RELAY}),
        possible=(
            Possible(
                action="Let the operator configure an SMTP relay: held messages are queued then",
                when="until it is dropped",
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
            " operator's limit. That limit is not in the log."
        },
        decision=_dead_lettered,
        reason=lambda _event: TIME_LIMIT,
        assumes=frozenset({TIME_LIMIT}),
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
            "reputation": "The sending of an agent is frozen when more than half of its last"
            " messages to people, of 10 to 100, bounced or were reported.",
        },
        decision=_frozen,
        possible=(Possible(action="Thaw it: quorate mail thaw", when="by an operator"),),
    ),
}
